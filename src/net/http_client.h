/* HTTP calls to a hub (http, https) or to a container engine (a Unix socket), many at once, on the loop. The protocol
 * is libcurl's. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct http_client;
struct http_trust;
struct http_call;

/* How a call ended. The bytes live as long as the callback runs. */
struct http_result {
	int error;        /* 0 when an HTTP answer came, whatever its status; else ERR_UNREACHABLE, ERR_TIMEOUT, …;
			   * ERR_DENIED: the peer is not whom we trust (TLS) */
	const char *text; /* the error for people, "" without one */
	bool hung_up;     /* the peer took the connection, and ended it without a byte of an answer */
	bool sent;        /* the peer may have seen the request, or a part of it */
	int status;       /* HTTP status, 0 without an answer */
	const char *body; /* NUL-terminated; empty when the call had on_data */
	size_t body_len;
};

struct http_call_options {
	const char *method;             /* "GET", "POST", … */
	const char *url;                /* for a Unix socket, any host: "http://engine/version" */
	const char *unix_socket;        /* path, or NULL for TCP */
	const char *const *headers;     /* "Name: value", ended by NULL; or NULL. Copied */
	const char *body;               /* copied; NULL without one */
	size_t body_len;
	int64_t connect_timeout_ms;     /* 0: 10 s */
	int64_t timeout_ms;             /* of the whole call; 0: none, for streams and waits */
	size_t max_body;                /* a longer body is ERR_TOO_BIG; 0: 1 MiB */

	void *context;
	/* Once per call, when the answer's headers are there. NULL if nobody cares. */
	void (*on_headers)(void *context, int status);
	/* A part of a body with a 2xx status, instead of collecting it (another status' body is collected as ever). */
	void (*on_data)(void *context, const char *bytes, size_t len);
	/* Exactly once, unless the call is cancelled. The call is gone when it returns. */
	void (*on_done)(void *context, const struct http_result *result);
};

/* user_agent: "gridnode/0.1.0". NULL only without memory. */
struct http_client *http_client_new(uv_loop_t *loop, const char *user_agent);

/* For calls from now on (net/http_trust.h); the struct and its texts must outlive the client. */
void http_client_set_trust(struct http_client *client, const struct http_trust *trust);

/* Cancels what still runs; the memory goes when the loop has let go of the handles. */
void http_client_close(struct http_client *client);

/* NULL with err set when the call cannot even begin. Allowed in every callback; on_done never comes from inside. */
struct http_call *http_client_start(struct http_client *client, const struct http_call_options *options, struct err *err);

/* No callback comes any more; the call is gone. NULL is ignored. Allowed in every callback. */
void http_call_cancel(struct http_call *call);
