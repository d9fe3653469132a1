/* Owns the table of routes and the matching of paths. Called by the dispatcher; adding a route is adding a row. */
#include "hub/api/routes.h"

#include "hub/api/handlers.h"
#include "proto/limits.h"

#include <stdio.h>
#include <string.h>

enum { SMALL_BODY = 64 * 1024 };

const struct route ROUTES[] = {
	{"GET", "/health", ROLE_ANYBODY, ROUTE_NO_BODY, SMALL_BODY, handle_health},

	{"GET", "/api/tasks", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_task_list},
	{"POST", "/api/tasks", ROLE_ADMIN, ROUTE_JSON, LIMIT_USER_BODY, handle_task_add},
	{"POST", "/api/tasks/next", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_task_next},
	{"POST", "/api/tasks/finish", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_task_finish},
	{"GET", "/api/tasks/{name}", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_task_get},
	{"DELETE", "/api/tasks/{name}", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_task_delete},
	{"GET", "/api/tasks/{name}/dead", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_dead_list},
	{"POST", "/api/tasks/{name}/dead/retry", ROLE_ADMIN, ROUTE_JSON, LIMIT_USER_BODY, handle_dead_retry},
	{"POST", "/api/tasks/{name}/dead/drop", ROLE_ADMIN, ROUTE_JSON, LIMIT_USER_BODY, handle_dead_drop},
	{"POST", "/api/tasks/{name}/items", ROLE_ADMIN, ROUTE_STREAM, 0, handle_items_push},
	{"GET", "/api/tasks/{name}/items", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_items_count},
	{"GET", "/api/tasks/{name}/results", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_results_read},
	{"POST", "/api/tasks/{name}/results/take", ROLE_ADMIN, ROUTE_JSON, LIMIT_USER_BODY, handle_results_take},
	{"POST", "/api/tasks/{name}/finish", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_task_finish_named},
	{"POST", "/api/tasks/{name}/cancel", ROLE_ADMIN, ROUTE_BYTES, SMALL_BODY, handle_task_cancel},
	{"POST", "/api/tasks/{name}/pause", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_task_pause},
	{"POST", "/api/tasks/{name}/resume", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_task_resume},
	{"GET", "/api/tasks/{name}/failures", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_task_failures},
	{"GET", "/api/nodes", ROLE_VIEWER, ROUTE_NO_BODY, SMALL_BODY, handle_node_list},
	{"POST", "/api/nodes/{id}/stop", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_node_stop},
	{"POST", "/api/nodes/{id}/revoke", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_node_revoke},
	{"POST", "/api/nodes/{id}/drain", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_node_drain},
	{"POST", "/api/nodes/{id}/undrain", ROLE_ADMIN, ROUTE_NO_BODY, SMALL_BODY, handle_node_undrain},

	{"POST", "/gridnode/register", ROLE_JOINER, ROUTE_JSON, LIMIT_NODE_BODY, handle_node_register},
	{"POST", "/gridnode/heartbeat", ROLE_ANY_NODE, ROUTE_JSON, LIMIT_INVENTORY_BODY, handle_node_heartbeat},
	{"POST", "/gridnode/lease", ROLE_NODE, ROUTE_JSON, LIMIT_NODE_BODY, handle_node_lease},
	{"POST", "/gridnode/commit", ROLE_NODE, ROUTE_BYTES, LIMIT_COMMIT_BODY, handle_node_commit},
	{"POST", "/gridnode/inventory", ROLE_NODE, ROUTE_JSON, LIMIT_INVENTORY_BODY, handle_node_inventory},
	{"GET", "/gridnode/task", ROLE_ANY_NODE, ROUTE_NO_BODY, SMALL_BODY, handle_node_task},
};

const size_t ROUTE_COUNT = sizeof(ROUTES) / sizeof(ROUTES[0]);

/* Finds where the pattern's {…} lies in the path: [*start, *start + *len). Without a {…} both must be equal. */
static bool match(const char *pattern, const char *path, size_t *start, size_t *len)
{
	const char *open = strchr(pattern, '{');
	*start = *len = 0;
	if (!open)
		return strcmp(pattern, path) == 0;
	size_t prefix = (size_t)(open - pattern);
	if (strncmp(pattern, path, prefix) != 0)
		return false;
	*start = prefix;
	*len = strcspn(path + prefix, "/");
	return *len > 0 && strcmp(strchr(open, '}') + 1, path + prefix + *len) == 0;
}

static void add_method(char *allow, size_t size, const char *method)
{
	size_t len = strlen(allow);
	(void)snprintf(allow + len, size - len, "%s%s", len ? ", " : "", method);
}

const struct route *route_find(const char *method, const char *path, char *allow, size_t allow_size)
{
	const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method;
	size_t start;
	size_t len;
	allow[0] = '\0';
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (!match(ROUTES[i].path, path, &start, &len))
			continue;
		if (strcmp(ROUTES[i].method, wanted) == 0)
			return &ROUTES[i];
		add_method(allow, allow_size, ROUTES[i].method);
	}
	return NULL;
}

bool route_param(const struct route *route, const char *path, char *into, size_t size)
{
	size_t start;
	size_t len;
	into[0] = '\0';
	if (!match(route->path, path, &start, &len) || len >= size)
		return false;
	memcpy(into, path + start, len);
	into[len] = '\0';
	return true;
}
