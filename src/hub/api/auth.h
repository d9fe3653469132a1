/* Who may call what: the bearer token, which is one of the hub's tokens or a node's own secret. */
#pragma once

#include "hub/api/routes.h"
#include "hub/hub.h"
#include "net/http.h"

#include <stdbool.h>

enum {
	RIGHT_READ = 1,   /* tasks and nodes */
	RIGHT_CHANGE = 2, /* them */
	RIGHT_JOIN = 4,   /* register nodes */
	RIGHT_SEED = 8,   /* speak for any node that has no secret of its own */
};

struct caller {
	unsigned rights;   /* of the hub's token */
	struct node *node; /* whose own secret it is, or NULL; valid in this turn of the loop */
};

/* Finds out who calls. False where the request carries nothing that this hub knows; that is logged, but not more than once
 * in a while. */
bool auth_identify(struct hub *hub, const struct http_request *request, struct caller *caller);

/* NULL where the caller may use routes of that role; else what is missing, for people. */
const char *auth_missing(const struct caller *caller, enum route_role role);

/* A token that is known but has not the right: logged as a wrong one is. */
void auth_log_forbidden(struct hub *hub, const struct http_request *request, const struct caller *caller);
