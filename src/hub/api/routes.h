/* The table of routes: what the hub answers, to whom, and how large a body may be. */
#pragma once

#include "hub/hub.h"
#include "net/http.h"

#include <jansson.h>
#include <stddef.h>

enum { ROUTE_PARAM_MAX = 1024 };

/* A request on its way through a handler. */
struct api_call {
	struct hub *hub;
	struct http_request *request;
	const char *param; /* what stands in the place of the path's {…}; "" without one */
	struct node *node; /* whose own secret the request carries, or NULL */
	unsigned rights;   /* of the token that the request carries: RIGHT_… of auth.h */
	json_t *body;      /* an object, for routes with ROUTE_JSON; borrowed */
};

enum route_body {
	ROUTE_NO_BODY, /* what comes is dropped, if it is small */
	ROUTE_JSON,    /* an object is needed */
	ROUTE_BYTES,   /* the handler reads them itself */
	ROUTE_STREAM,  /* the handler is called when the headers are there, and takes the body piece by piece (http.h) */
};

/* Who may call. The seed's single token is admin's, viewer's and joiner's at once. */
enum route_role {
	ROLE_ANYBODY,  /* without a token */
	ROLE_VIEWER,   /* who reads: viewer_token, admin_token */
	ROLE_ADMIN,    /* who changes: admin_token */
	ROLE_JOINER,   /* who registers: join_token, admin_token, or a node's own secret */
	ROLE_NODE,     /* a node, by its own secret */
	ROLE_ANY_NODE, /* the same, or by the seed's token a node that has none */
	ROLE_COUNT,
};

struct route {
	const char *method;
	const char *path; /* at most one "{…}", which stands for one segment */
	enum route_role role;
	enum route_body body;
	size_t body_cap; /* bytes */
	void (*handle)(struct api_call *call);
};

extern const struct route ROUTES[];
extern const size_t ROUTE_COUNT;

/* The route of a method and a path. HEAD is answered as GET. Where the path is known but not with this method, NULL and
 * the methods that are ("GET, POST") in `allow`; where it is unknown, NULL and "". */
const struct route *route_find(const char *method, const char *path, char *allow, size_t allow_size);

/* Copies the segment that the route's {…} matches; "" without one. False where it is longer than `size`. */
bool route_param(const struct route *route, const char *path, char *into, size_t size);
