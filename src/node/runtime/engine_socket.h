/* Where a container engine may listen on this machine, and which of those places takes connections. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { ENGINE_SOCKETS_MAX = 16, ENGINE_SOCKET_PATH_MAX = 108 };

/* One place, and what was found there. */
struct engine_socket {
	char path[ENGINE_SOCKET_PATH_MAX];
	int code;         /* 0 while nothing speaks against it */
	char reason[ERR_TEXT_MAX]; /* "" while code is 0 */
};

/* The places in the order in which they are tried. */
struct engine_sockets {
	struct engine_socket items[ENGINE_SOCKETS_MAX];
	size_t count;
	size_t next;
	bool given;         /* by the configuration or $DOCKER_HOST: no other place counts */
	const char *source; /* what named the given one: "docker_host", "$DOCKER_HOST" */
};

/* `configured` ("unix:///path" or "/path"), else $DOCKER_HOST, else the usual places of Docker and Podman. ERR_INVALID
 * for an address that is not a Unix socket. */
int engine_sockets_list(struct engine_sockets *sockets, const char *configured, struct err *err) MUST_CHECK;

/* The next place that takes a connection, or NULL; the others are remembered with their reason. */
const char *engine_sockets_next(struct engine_sockets *sockets);

/* The place that engine_sockets_next gave last takes connections, but is of no use. */
void engine_sockets_reject(struct engine_sockets *sockets, const struct err *why);

/* Why no place would do, and what to do about it. Returns the code that err then holds. */
int engine_sockets_explain(const struct engine_sockets *sockets, struct err *err);
