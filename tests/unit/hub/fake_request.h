/* A request without a socket: what handlers see of one, and what they answered. */
#pragma once

#include "net/http.h"

#include <jansson.h>

struct fake_request {
	struct http_request request; /* first: the transport finds the rest through it */
	const char *query[10];        /* name, value, …, NULL */
	unsigned answers;            /* how often it was answered: never more than once */
	bool held;
	unsigned status;
	char *body;                  /* what came back, NUL-terminated */
	char *allow;
	bool authenticate;
};

/* A request with the token that the tests use; body NULL: none. */
void fake_init(struct fake_request *fake, const char *method, const char *path, const char *body);
void fake_done(struct fake_request *fake);

/* The client goes away while its request is held. */
void fake_go(struct fake_request *fake);

/* The answer's body as JSON; json_decref() it. */
json_t *fake_json(const struct fake_request *fake);
