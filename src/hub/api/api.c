/* Owns the way of a request from the server to its handler. Called by the server; refuses what has no token, no route or no
 * readable body before any handler sees it. */
#include "hub/api/api.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "hub/api/auth.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <string.h>

/* Finds out who calls, and whether that may be; false when it was refused. */
static bool admit(struct hub *hub, struct http_request *request, enum route_role role, struct caller *caller)
{
	*caller = (struct caller){0};
	if (role == ROLE_ANYBODY)
		return true;
	if (!auth_identify(hub, request, caller)) {
		reply_unauthorized(request);
		return false;
	}
	const char *missing = auth_missing(caller, role);
	if (!missing)
		return true;
	auth_log_forbidden(hub, request, caller);
	reply_forbidden(request, missing);
	return false;
}

/* The handler sees the body as it comes. */
static void begin_stream(struct hub *hub, struct http_request *request, const struct route *route, const struct caller *caller)
{
	char param[ROUTE_PARAM_MAX];
	if (!route_param(route, request->path, param, sizeof(param))) {
		reply_error(request, HTTP_NOT_FOUND, "not_found", "that name is too long to exist");
		return;
	}
	log_debug(NULL, "%s %s", request->method, request->path);
	struct api_call call = {.hub = hub, .request = request, .param = param, .node = caller->node, .rights = caller->rights};
	route->handle(&call);
}

void api_on_headers(void *context, struct http_request *request)
{
	struct hub *hub = context;
	struct caller caller;
	char allow[64];
	const struct route *route = route_find(request->method, request->path, allow, sizeof(allow));

	/* A stranger does not learn which paths exist. */
	if (!route && !auth_identify(hub, request, &caller)) {
		reply_unauthorized(request);
	} else if (route) {
		if (!admit(hub, request, route->role, &caller))
			return;
		request->route = route;
		request->body_cap = route->body_cap;
		if (route->body == ROUTE_STREAM)
			begin_stream(hub, request, route, &caller);
	} else if (*allow) {
		reply_method_not_allowed(request, allow);
	} else {
		reply_error(request, HTTP_NOT_FOUND, "not_found", "there is no such path; the README lists the calls");
	}
}

static bool read_body(struct http_request *request, const struct route *route, json_t **body)
{
	struct err err = {0};
	if (request->busy) {
		reply_error(request, HTTP_UNAVAILABLE, "busy", "too many large bodies are on their way to this hub; try again");
		return false;
	}
	if (!request->body) {
		char message[96];
		(void)snprintf(message, sizeof(message), "the body is larger than %zu bytes", route->body_cap);
		reply_error(request, HTTP_CONTENT_TOO_LARGE, "too_large", message);
		return false;
	}
	if (route->body == ROUTE_JSON && json_parse_object(request->body, request->body_len, body, &err)) {
		reply_error(request, HTTP_BAD_REQUEST, "bad_json", err.text);
		return false;
	}
	return true;
}

/* Whether a node names another one: nobody speaks for somebody else. */
static bool names_another(const struct node *node, const struct http_request *request, const json_t *body)
{
	const char *in_query = http_query(request, "node_id");
	const char *in_body = json_string_value(json_object_get(body, "node_id"));
	return (in_query && strcmp(in_query, node->id) != 0) || (in_body && strcmp(in_body, node->id) != 0);
}

void api_on_request(void *context, struct http_request *request)
{
	const struct route *route = request->route;
	AUTO_JSON json_t *body = NULL;
	char param[ROUTE_PARAM_MAX];
	struct caller caller;
	if (!admit(context, request, route->role, &caller)) /* again: it may have been revoked while the body came */
		return;
	if (!read_body(request, route, &body))
		return;
	if (caller.node && names_another(caller.node, request, body)) {
		auth_log_forbidden(context, request, &caller);
		reply_forbidden(request, "this secret is another node's");
		return;
	}
	if (!route_param(route, request->path, param, sizeof(param))) {
		reply_error(request, HTTP_NOT_FOUND, "not_found", "that name is too long to exist");
		return;
	}
	log_debug(NULL, "%s %s", request->method, request->path);
	struct api_call call = {.hub = context,
				.request = request,
				.param = param,
				.node = caller.node,
				.rights = caller.rights,
				.body = body};
	route->handle(&call);
}
