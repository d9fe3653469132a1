/* Owns the way of a request from the server to its handler. Called by the server; refuses what has no token, no route or no
 * readable body before any handler sees it. */
#include "hub/api/api.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "hub/api/auth.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

void api_on_headers(void *context, struct http_request *request)
{
	struct hub *hub = context;
	char allow[64];
	const struct route *route = route_find(request->method, request->path, allow, sizeof(allow));

	/* A stranger does not learn which paths exist. */
	if ((!route || route->role != ROLE_ANYBODY) && !auth_allows(hub, request)) {
		reply_unauthorized(request);
	} else if (route) {
		request->route = route;
		request->body_cap = route->body_cap;
	} else if (*allow) {
		reply_method_not_allowed(request, allow);
	} else {
		reply_error(request, HTTP_NOT_FOUND, "not_found", "there is no such path; the README lists the calls");
	}
}

static bool read_body(struct http_request *request, const struct route *route, json_t **body)
{
	struct err err = {0};
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

void api_on_request(void *context, struct http_request *request)
{
	const struct route *route = request->route;
	AUTO_JSON json_t *body = NULL;
	char param[ROUTE_PARAM_MAX];
	if (!read_body(request, route, &body))
		return;
	if (!route_param(route, request->path, param, sizeof(param))) {
		reply_error(request, HTTP_NOT_FOUND, "not_found", "that name is too long to exist");
		return;
	}
	log_debug(NULL, "%s %s", request->method, request->path);
	struct api_call call = {.hub = context, .request = request, .param = param, .body = body};
	route->handle(&call);
}
