/* The agent's end of a place: a Unix socket in a directory of its own, over which the pause program passes its listener
 * once, and whose connection then tells, by its end, that the program has ended. */
#pragma once

#include "base/err.h"

#include <uv.h>

struct place_socket;

struct place_socket_events {
	void *context;
	void (*on_listener)(void *context, int fd); /* once; the callee's */
	void (*on_gone)(void *context);             /* once, only after on_listener */
};

/* Makes the directory in `folder` and listens. NULL with err set. */
struct place_socket *place_socket_open(uv_loop_t *loop, const char *folder, const struct place_socket_events *events,
				       struct err *err);

/* The directory, to be mounted. */
const char *place_socket_directory(const struct place_socket *socket);

/* No callback any more, the directory is gone; the memory goes when the loop lets go. NULL is ignored. Allowed in every
 * callback. */
void place_socket_close(struct place_socket *socket);
