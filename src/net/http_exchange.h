/* The life of one request inside the server: from its headers to its answer. Private to net/: http_server.c owns the
 * connections that exchanges happen on. */
#pragma once

#include "base/buf.h"
#include "net/http.h"
#include "net/http_server.h"

#include <microhttpd.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct exchange;

/* The server's side of a connection. */
struct http_connection {
	struct http_server *server;
	int fd;
	bool waiting;          /* in the server's list: owes us a whole request */
	bool watched;          /* for its client's going, while a request of it is held */
	bool greeting;         /* over TLS, no request has begun: its handshake may be under way */
	int64_t since_ms;      /* defined while waiting */
	struct tls_identity *identity; /* what its handshake shows; NULL before, and without TLS */
	struct http_connection *prev, *next;
};

/* What an exchange needs of the server. */
struct http_exchanges {
	uv_loop_t *loop;
	const struct http_server_options *options;
	struct exchange *held;      /* in the order in which they came */
	struct exchange *paused;    /* whose body is not read on for now */
	struct exchange *unwatched; /* the first of these whose client's going is not watched for yet; NULL: none */
	struct gone_watch *gone;
	size_t body_bytes;          /* of all requests' bodies, until they are answered */
	struct http_connection *(*connection_of)(struct MHD_Connection *mhd);
	void (*stop_greeting)(struct http_connection *connection);
	void (*start_waiting)(struct http_connection *connection);
	void (*stop_waiting)(struct http_connection *connection);
	void (*run_soon)(struct http_server *server); /* a resumed connection has work that no descriptor announces */
};

/* libmicrohttpd's callbacks; the context is the struct http_exchanges. */
enum MHD_Result http_exchange_on_access(void *context, struct MHD_Connection *mhd, const char *path, const char *method,
					const char *version, const char *upload, size_t *upload_len,
					void **exchange_context);
void http_exchange_on_completed(void *context, struct MHD_Connection *mhd, void **exchange_context,
				enum MHD_RequestTerminationCode code);

/* Before the first connection, and after the last one. */
int http_exchanges_open(struct http_exchanges *exchanges, struct err *err) MUST_CHECK;
void http_exchanges_close(struct http_exchanges *exchanges);

/* From now on the going of every client whose request is held is noticed. To be called about once a second. */
void http_exchanges_watch_held(struct http_exchanges *exchanges);

/* Ends every held and every paused request without an answer. */
void http_exchanges_cut_held(struct http_exchanges *exchanges);
