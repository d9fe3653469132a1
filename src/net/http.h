/* One HTTP request and its answer, as handlers see them: no sockets, so that a handler can be driven by the server and
 * by a test alike. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct http_request;

struct http_header {
	const char *name, *value;
};

/* What goes back. The strings are copied or used at once, except `body`, which is taken over. */
struct http_response {
	unsigned status;
	const char *content_type;
	char *body;            /* from malloc; owned by the answer from then on. NULL: empty, or produced */
	size_t body_len;
	const char *allow;     /* the Allow header of a 405, or NULL */
	bool authenticate;     /* adds "WWW-Authenticate: Bearer" */
	const struct http_header *headers; /* further ones: header_count of them */
	size_t header_count;

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
	void (*pause)(struct http_request *request);
	void (*go_on)(struct http_request *request);
	void (*peer)(const struct http_request *request, char *into, size_t size);
};

struct http_request {
	const struct http_transport *transport;
	const char *method;
	const char *path;   /* decoded, without the query */
	const char *bearer; /* what stands behind "Authorization: Bearer ", or NULL */
	const char *content_type; /* of the body, or NULL */
	const char *body;   /* NUL-terminated; "" before it is read; NULL when it passed body_cap, or while busy */
	size_t body_len;
	bool busy;          /* bodies of other requests take up all the memory that there is for them: not now (503) */
	size_t body_cap;    /* the receiver sets it when the headers are there; 0: any body is too large */

	/* The receiver's: what it found out about the request, and, while it holds the request, whom to tell when the
	 * client goes away (the request is gone when on_gone returns). */
	const void *route;
	void *holder;
	void (*on_gone)(struct http_request *request);

	/* A streamed body, of any size, which is never kept here: the receiver sets all three, and holder, when the headers are
	 * there. on_piece takes all of the bytes; on_end says that the body is whole: answer, or hold. on_gone comes when the
	 * client went before that, too. Until then the request may be answered at any time: what still comes of the body is
	 * dropped, and the connection ends with it. */
	void (*on_piece)(struct http_request *request, const char *bytes, size_t len);
	void (*on_end)(struct http_request *request);
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

/* For streamed bodies: from inside on_piece, no further piece is read until http_go_on; meanwhile the client can send no more
 * than the system's buffers take. Only for a time that is bounded: the client's going is not noticed before. */
static inline void http_pause(struct http_request *request)
{
	request->transport->pause(request);
}

static inline void http_go_on(struct http_request *request)
{
	request->transport->go_on(request);
}

/* The client's address for logs. */
static inline void http_peer(const struct http_request *request, char *into, size_t size)
{
	request->transport->peer(request, into, size);
}
