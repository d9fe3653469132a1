/* Protects the table of routes and the matching of paths: what is found, what is refused, what stands in the {…}. */
#include "hub/api/routes.h"

#include "../support.h"

#include <stdio.h>
#include <string.h>

static void assert_route(const char *method, const char *path, const char *expected, const char *expected_param)
{
	char allow[64];
	char param[ROUTE_PARAM_MAX];
	const struct route *route = route_find(method, path, allow, sizeof(allow));
	if (!route)
		fail_msg("%s %s is not found", method, path);
	assert_string_equal(route->path, expected);
	assert_true(route_param(route, path, param, sizeof(param)));
	assert_string_equal(param, expected_param);
}

static void assert_no_route(const char *method, const char *path, const char *expected_allow)
{
	char allow[64];
	assert_null(route_find(method, path, allow, sizeof(allow)));
	assert_string_equal(allow, expected_allow);
}

static void test_routes_each_one_finds_itself(void **state)
{
	(void)state;
	assert_true(ROUTE_COUNT >= 12);
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		char path[256];
		const char *open = strchr(ROUTES[i].path, '{');
		if (open)
			(void)snprintf(path, sizeof(path), "%.*sx%s", (int)(open - ROUTES[i].path), ROUTES[i].path,
				       strchr(open, '}') + 1);
		else
			(void)snprintf(path, sizeof(path), "%s", ROUTES[i].path);
		char allow[64];
		assert_ptr_equal(route_find(ROUTES[i].method, path, allow, sizeof(allow)), &ROUTES[i]);
	}
}

static void test_routes_only_health_is_open_to_anybody(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROUTE_COUNT; i++)
		assert_int_equal(ROUTES[i].role == ROLE_ANYBODY, strcmp(ROUTES[i].path, "/health") == 0);
}

static void test_routes_fixed_paths_come_before_patterns(void **state)
{
	(void)state;
	assert_route("POST", "/api/tasks/next", "/api/tasks/next", "");
	assert_route("POST", "/api/tasks/finish", "/api/tasks/finish", "");
	assert_route("GET", "/api/tasks", "/api/tasks", "");
	/* A task may be named so, too. */
	assert_route("DELETE", "/api/tasks/next", "/api/tasks/{name}", "next");
}

static void test_routes_params_are_one_segment(void **state)
{
	(void)state;
	assert_route("GET", "/api/tasks/hea calc \xe4\xb8\xad", "/api/tasks/{name}", "hea calc \xe4\xb8\xad");
	assert_route("POST", "/api/nodes/id-1/stop", "/api/nodes/{id}/stop", "id-1");
	assert_no_route("POST", "/api/nodes/a/b/stop", "");
	assert_no_route("POST", "/api/nodes//stop", "");
	assert_no_route("GET", "/api/tasks/", "");
	assert_no_route("GET", "/api/tasks/a/b", "");
	assert_no_route("POST", "/api/nodes/id-1/stop/", "");
	assert_no_route("POST", "/api/nodes/id-1/stopx", "");
}

static void test_routes_unknown_paths_have_no_methods(void **state)
{
	(void)state;
	assert_no_route("GET", "/", "");
	assert_no_route("GET", "", "");
	assert_no_route("GET", "/health/", "");
	assert_no_route("GET", "/HEALTH", "");
	assert_no_route("GET", "//health", "");
	assert_no_route("GET", "/api", "");
	assert_no_route("GET", "/api/../health", "");
}

static void test_routes_wrong_methods_name_the_right_ones(void **state)
{
	(void)state;
	assert_no_route("PUT", "/api/tasks", "GET, POST");
	assert_no_route("POST", "/health", "GET");
	assert_no_route("POST", "/api/tasks/x", "GET, DELETE");
	assert_no_route("GET", "/api/nodes/x/stop", "POST");
	assert_no_route("get", "/health", "GET");
}

static void test_routes_head_is_answered_as_get(void **state)
{
	(void)state;
	assert_route("HEAD", "/health", "/health", "");
	assert_no_route("HEAD", "/gridnode/register", "POST");
}

static void test_routes_param_that_does_not_fit_is_refused(void **state)
{
	(void)state;
	char path[2 * ROUTE_PARAM_MAX];
	memset(path, 'x', sizeof(path));
	memcpy(path, "/api/tasks/", 11);
	char allow[64];
	char param[ROUTE_PARAM_MAX];
	path[11 + ROUTE_PARAM_MAX] = '\0';
	const struct route *route = route_find("GET", path, allow, sizeof(allow));
	assert_non_null(route);
	assert_false(route_param(route, path, param, sizeof(param)));
	path[11 + ROUTE_PARAM_MAX - 1] = '\0';
	assert_true(route_param(route, path, param, sizeof(param)));
	assert_int_equal(strlen(param), ROUTE_PARAM_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_routes_each_one_finds_itself),
		cmocka_unit_test(test_routes_only_health_is_open_to_anybody),
		cmocka_unit_test(test_routes_fixed_paths_come_before_patterns),
		cmocka_unit_test(test_routes_params_are_one_segment),
		cmocka_unit_test(test_routes_unknown_paths_have_no_methods),
		cmocka_unit_test(test_routes_wrong_methods_name_the_right_ones),
		cmocka_unit_test(test_routes_head_is_answered_as_get),
		cmocka_unit_test(test_routes_param_that_does_not_fit_is_refused),
	};
	return cmocka_run_group_tests_name("routes", tests, NULL, NULL);
}
