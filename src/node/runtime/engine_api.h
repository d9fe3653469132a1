/* Calls to one container engine over its Unix socket: JSON in, JSON or a stream out, and every refusal as an error with
 * advice. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct engine;
struct engine_call;

/* How a call ended. Everything lives as long as the callback runs. */
struct engine_answer {
	int status;            /* 0: no answer came */
	const json_t *json;    /* an object or an array, NULL where the body is none */
	const struct err *err; /* NULL for 2xx and 304 with JSON or nothing */
};

struct engine_request {
	const char *method;
	const char *path;          /* "/containers/json?all=1", without the API version */
	const json_t *body;        /* NULL without one */
	const char *archive;       /* a tar archive in the place of `body`, or NULL */
	size_t archive_len;
	const char *registry_auth; /* the value of X-Registry-Auth, or NULL */
	int64_t timeout_ms;        /* of the whole call; 0: none, for streams and waits */
	size_t max_body;           /* 0: 1 MiB */

	void *context;
	void (*on_headers)(void *context, int status); /* or NULL */
	/* A part of a 2xx answer's body, in the place of `json`; or NULL. */
	void (*on_data)(void *context, const char *bytes, size_t len);
	/* Once, unless the call is cancelled. The call is gone. */
	void (*on_answer)(void *context, const struct engine_answer *answer);
};

/* NULL only without memory. */
struct engine *engine_new(uv_loop_t *loop);

/* Every call must be over or cancelled. Not from inside a callback of one of its calls. */
void engine_close(struct engine *engine);

/* Calls from now on go there; api_version NULL: in none, for the first question. ERR_NOMEM. */
int engine_connect(struct engine *engine, const char *socket_path, const char *api_version) MUST_CHECK;

/* NULL with err set when the call cannot even begin. on_answer never comes from inside. */
struct engine_call *engine_start(struct engine *engine, const struct engine_request *request, struct err *err);

/* No callback comes any more. NULL is ignored. Allowed in every callback. */
void engine_cancel(struct engine_call *call);

/* Adds "?name=value" or "&name=value", the value escaped, to a path. */
int engine_query(struct buf *path, const char *name, const char *value) MUST_CHECK;

/* Whether a name or an id can stand in a path as it is: letters, digits, '.', '_', '-'. */
bool engine_is_name(const char *name);
