/* One HTTP request and its answer, as handlers see them: no sockets, so that a handler can be driven by the server and
 * by a test alike. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct http_request;

/* What goes back. The strings are copied or used at once, except `body`, which is taken over. */
struct http_response {
	unsigned status;
	const char *content_type;
	char *body;            /* from malloc; owned by the answer from then on. NULL: empty, or produced */
	size_t body_len;
	const char *allow;     /* the Allow header of a 405, or NULL */
	bool authenticate;     /* adds "WWW-Authenticate: Bearer" */

	/* A body of unknown size, produced piece by piece as the client reads: up to max bytes into `into`; 0 ends it.
	 * produce_done is called exactly once, also when the client goes. */
	ssize_t (*produce)(void *context, char *into, size_t max);
	void (*produce_done)(void *context);
	void *produce_context;
};

/* How an answer leaves: the server's way, or a test's. */
struct http_transport {
	const char *(*query)(const struct http_request *request, const char *name);
	void (*respond)(struct http_request *request, const struct http_response *response);
	void (*hold)(struct http_request *request);
	void (*peer)(const struct http_request *request, char *into, size_t size);
};

struct http_request {
	const struct http_transport *transport;
	const char *method;
	const char *path;   /* decoded, without the query */
	const char *bearer; /* what stands behind "Authorization: Bearer ", or NULL */
	const char *body;   /* NUL-terminated; "" before it is read; NULL when it passed body_cap, or while busy */
	size_t body_len;
	bool busy;          /* bodies of other requests take up all the memory that there is for them: not now (503) */
	size_t body_cap;    /* the receiver sets it when the headers are there; 0: any body is too large */

	/* The receiver's: what it found out about the request, and, while it holds the request, whom to tell when the
	 * client goes away (the request is gone when on_gone returns). */
	const void *route;
	void *holder;
	void (*on_gone)(struct http_request *request);
};

/* NULL where the query does not have it. */
static inline const char *http_query(const struct http_request *request, const char *name)
{
	return request->transport->query(request, name);
}

/* Answers: exactly once per request, at once or after a hold. */
static inline void http_respond(struct http_request *request, const struct http_response *response)
{
	request->transport->respond(request, response);
}

/* Keeps the request open past the handler's return. holder and on_gone must be set, and the request in the holder's
 * books. on_gone comes from the loop, about a second after the client went at the latest. */
static inline void http_hold(struct http_request *request)
{
	request->transport->hold(request);
}

/* The client's address for logs. */
static inline void http_peer(const struct http_request *request, char *into, size_t size)
{
	request->transport->peer(request, into, size);
}
