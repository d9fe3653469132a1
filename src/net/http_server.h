/* The HTTP server on the loop. The protocol is libmicrohttpd's; held requests, whole-request deadlines and caps are
 * here. */
#pragma once

#include "base/err.h"
#include "net/http.h"

#include <stdint.h>
#include <uv.h>

struct http_server;
struct tls_identity;

struct http_server_options {
	const char *bind;           /* as listen_open takes it */
	unsigned max_connections;
	int64_t request_timeout_ms; /* from connect, or from the last answer, until a whole request is here */
	struct tls_identity *identity; /* of TLS, taken over, also by a failure; NULL: plain HTTP */

	void *context;
	/* The headers are here: set body_cap, or answer already (then the body is drained, never kept). */
	void (*on_headers)(void *context, struct http_request *request);
	/* The request is whole: answer or hold it. */
	void (*on_request)(void *context, struct http_request *request);
};

struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_options *options, struct err *err);

/* The port that it really listens on. */
unsigned http_server_port(const struct http_server *server);

/* For handshakes from now on (taken over); connections that stand keep theirs. Only for a server that began with one. */
void http_server_set_identity(struct http_server *server, struct tls_identity *identity);

/* Ends all connections, held ones too (their on_gone is called), and frees the server when the loop has let go. */
void http_server_close(struct http_server *server);
