/* Protects who may what: every route of the table against every kind of caller, and the rule that a node speaks for itself
 * alone. */
#include "hub/api/auth.h"

#include "../support.h"
#include "base/log.h"
#include "fake_request.h"
#include "hub/api/api.h"
#include "hub/hub.h"
#include "hub_support.h"

#include <stdlib.h>
#include <string.h>

static char unset[] = "";
static char state_dir[] = "state";
static char bind_address[] = "127.0.0.1:0";
static char seed[] = "the-seeds-token";
static char admin[] = "the-admins-token";
static char viewer[] = "the-viewers-token";
static char joiner[] = "the-joiners-token";

struct world {
	uv_loop_t loop;
	struct hub_config config;
	struct hub hub;
	char node_id[UUID_SIZE], secret[TOKEN_SIZE];
	char other_id[UUID_SIZE], revoked[TOKEN_SIZE];
};

static void drive(struct world *world, struct fake_request *fake)
{
	api_on_headers(&world->hub, &fake->request);
	if (!fake->answers)
		api_on_request(&world->hub, &fake->request);
}

/* A call with that bearer; the answer is to be released with fake_done. */
static void call(struct world *world, struct fake_request *fake, const char *method, const char *path, const char *body,
		 const char *bearer)
{
	fake_init(fake, method, path, body);
	fake->request.bearer = bearer;
	drive(world, fake);
	assert_int_equal(fake->answers, 1);
}

static void assert_call(struct world *world, const char *method, const char *path, const char *body, const char *bearer,
			unsigned status, const char *text)
{
	struct fake_request fake;
	call(world, &fake, method, path, body, bearer);
	if (fake.status != status)
		fail_msg("%s %s: %u %s", method, path, fake.status, fake.body);
	assert_contains(fake.body, text);
	fake_done(&fake);
}

static void join(struct world *world, char id[UUID_SIZE], char secret[TOKEN_SIZE])
{
	struct fake_request fake;
	call(world, &fake, "POST", "/gridnode/register",
	     "{\"hostname\": \"h\", \"architecture\": \"x86_64\", \"cpu_count\": 1, \"run\": \"r\", \"leases\": true}", joiner);
	assert_int_equal(fake.status, 200);
	json_t *answer = fake_json(&fake);
	(void)snprintf(id, UUID_SIZE, "%s", json_string_value(json_object_get(answer, "node_id")));
	(void)snprintf(secret, TOKEN_SIZE, "%s", json_string_value(json_object_get(answer, "node_secret")));
	assert_int_equal(strlen(secret), TOKEN_SIZE - 1);
	json_decref(answer);
	fake_done(&fake);
}

static struct world *begin(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	world->config = (struct hub_config){.bind = bind_address,
					    .token = seed,
					    .admin_token = admin,
					    .viewer_token = viewer,
					    .join_token = joiner,
					    .tls_cert = unset,
					    .tls_key = unset,
					    .state_dir = state_dir,
					    .offline_after_s = 60,
					    .forget_after_s = 600,
					    .keep_completed = 100,
					    .max_connections = 10,
					    .request_timeout_s = 60};
	assert_int_equal(uv_loop_init(&world->loop), 0);
	struct err err = {0};
	if (hub_start(&world->hub, &world->loop, &world->config, &err))
		fail_msg("%s", err.text);
	char path[128];
	join(world, world->node_id, world->secret);
	join(world, world->other_id, world->revoked);
	(void)snprintf(path, sizeof(path), "/api/nodes/%s/revoke", world->other_id);
	assert_call(world, "POST", path, NULL, admin, 200, "\"revoked\":true");
	return world;
}

static void end(struct world *world)
{
	hub_stop(&world->hub);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
}

/* Whom each route lets in: S the seed's token, A admin, V viewer, J joiner, N a node's own secret; - a stranger. Written down here
 * once more, so that nobody opens a route without having thought of it. */
static const struct {
	const char *method, *path, *callers;
} EXPECTED[] = {
	{"GET", "/health", "-SAVJN"},
	{"GET", "/api/tasks", "SAV"},
	{"POST", "/api/tasks", "SA"},
	{"POST", "/api/tasks/next", "SA"},
	{"POST", "/api/tasks/finish", "SA"},
	{"GET", "/api/tasks/{name}", "SAV"},
	{"DELETE", "/api/tasks/{name}", "SA"},
	{"GET", "/api/tasks/{name}/dead", "SAV"},
	{"POST", "/api/tasks/{name}/dead/retry", "SA"},
	{"POST", "/api/tasks/{name}/dead/drop", "SA"},
	{"POST", "/api/tasks/{name}/items", "SA"},
	{"GET", "/api/tasks/{name}/items", "SAV"},
	{"GET", "/api/tasks/{name}/results", "SAV"},
	{"POST", "/api/tasks/{name}/results/take", "SA"},
	{"POST", "/api/tasks/{name}/finish", "SA"},
	{"POST", "/api/tasks/{name}/cancel", "SA"},
	{"POST", "/api/tasks/{name}/pause", "SA"},
	{"POST", "/api/tasks/{name}/resume", "SA"},
	{"GET", "/api/tasks/{name}/failures", "SAV"},
	{"GET", "/api/nodes", "SAV"},
	{"POST", "/api/nodes/{id}/stop", "SA"},
	{"POST", "/api/nodes/{id}/revoke", "SA"},
	{"POST", "/api/nodes/{id}/drain", "SA"},
	{"POST", "/api/nodes/{id}/undrain", "SA"},
	{"POST", "/gridnode/register", "SAJN"},
	{"POST", "/gridnode/heartbeat", "SN"},
	{"POST", "/gridnode/lease", "N"},
	{"POST", "/gridnode/commit", "N"},
	{"POST", "/gridnode/inventory", "N"},
	{"GET", "/gridnode/task", "SN"},
};

static const char *callers_of(const struct route *route)
{
	for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
		if (strcmp(EXPECTED[i].method, route->method) == 0 && strcmp(EXPECTED[i].path, route->path) == 0)
			return EXPECTED[i].callers;
	}
	fail_msg("%s %s: this test does not say who may call it", route->method, route->path);
	return "";
}

static void make_path(const struct route *route, char *into, size_t size)
{
	const char *open = strchr(route->path, '{');
	if (open)
		(void)snprintf(into, size, "%.*sx%s", (int)(open - route->path), route->path, strchr(open, '}') + 1);
	else
		(void)snprintf(into, size, "%s", route->path);
}

static void assert_admission(struct world *world, const struct route *route, char who, const char *bearer)
{
	struct fake_request fake;
	char path[256];
	make_path(route, path, sizeof(path));
	fake_init(&fake, route->method, path, NULL);
	fake.request.bearer = bearer;
	api_on_headers(&world->hub, &fake.request);
	bool expected = strchr(callers_of(route), who) != NULL;
	/* A streamed body's handler is called at once: it does not find the task. */
	bool let_in = fake.answers == 0 || (route->body == ROUTE_STREAM && fake.status == 404);
	if (expected != let_in)
		fail_msg("%s %s by %c: %u %s", route->method, route->path, who, fake.status, fake.body ? fake.body : "let in");
	if (!expected) {
		assert_int_equal(fake.status, who == '-' ? 401 : 403);
		assert_int_equal(fake.authenticate, who == '-');
		assert_contains(fake.body, who == '-' ? "\"unauthorized\"" : "\"forbidden\"");
		assert_contains(fake.body, who == '-' ? "Bearer <token>" : "this call needs ");
	}
	fake_done(&fake);
}

static void test_auth_every_route_lets_in_whom_it_should(void **state)
{
	(void)state;
	struct world *world = begin();
	const struct {
		char who;
		const char *bearer;
	} callers[] = {{'-', NULL},  {'-', ""},    {'-', "the-admins-toke"}, {'-', "the-admins-token "}, {'-', world->revoked},
		       {'S', seed},  {'A', admin}, {'V', viewer},	     {'J', joiner},		 {'N', world->secret}};
	assert_int_equal(ROUTE_COUNT, sizeof(EXPECTED) / sizeof(EXPECTED[0]));
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		for (size_t j = 0; j < sizeof(callers) / sizeof(callers[0]); j++)
			assert_admission(world, &ROUTES[i], callers[j].who, callers[j].bearer);
	}
	end(world);
}

static void test_auth_tokens_that_are_not_set_let_nobody_in(void **state)
{
	(void)state;
	struct world *world = begin();
	static char none[] = "";
	world->config.token = world->config.viewer_token = world->config.join_token = none;
	for (size_t i = 0; i < ROUTE_COUNT; i++) {
		if (ROUTES[i].role == ROLE_ANYBODY)
			continue;
		assert_admission(world, &ROUTES[i], '-', "");
		assert_admission(world, &ROUTES[i], '-', NULL);
		assert_admission(world, &ROUTES[i], '-', seed);
		assert_admission(world, &ROUTES[i], 'A', admin);
	}
	end(world);
}

static void test_auth_a_node_names_itself_alone(void **state)
{
	(void)state;
	struct world *world = begin();
	static const char *const PATHS[] = {"/gridnode/heartbeat", "/gridnode/lease", "/gridnode/inventory", "/gridnode/register"};
	char named[512];
	(void)snprintf(named, sizeof(named), "{\"node_id\": \"%s\"}", world->other_id);
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
		assert_call(world, "POST", PATHS[i], named, world->secret, 403, "another node's");
		assert_call(world, "POST", PATHS[i], "{\"node_id\": \"nobody\"}", world->secret, 403, "another node's");
	}
	static const char *const QUERIES[][2] = {{"GET", "/gridnode/task"}, {"POST", "/gridnode/commit"}, {"POST", "/gridnode/lease"}};
	for (size_t i = 0; i < sizeof(QUERIES) / sizeof(QUERIES[0]); i++) {
		struct fake_request fake;
		fake_init(&fake, QUERIES[i][0], QUERIES[i][1], "{}");
		fake.request.bearer = world->secret;
		fake.query[0] = "node_id";
		fake.query[1] = world->other_id;
		drive(world, &fake);
		assert_int_equal(fake.status, 403);
		fake_done(&fake);
	}
	/* One that names nobody is still itself: leases, and no address of Redis. */
	assert_call(world, "POST", "/api/tasks",
		    "{\"name\": \"a\", \"image\": \"i\", \"input_redis\": \"redis://:hunter2@127.0.0.1:1\", \"input_queue\": \"q\"}",
		    admin, 201, "\"leased\"");
	struct fake_request task;
	call(world, &task, "GET", "/gridnode/task", NULL, world->secret);
	assert_contains(task.body, "\"leased\"");
	assert_lacks(task.body, "hunter2");
	fake_done(&task);
	(void)snprintf(named, sizeof(named), "{\"node_id\": \"%s\", \"status\": \"Idle\", \"active_containers\": 0}", world->node_id);
	assert_call(world, "POST", "/gridnode/heartbeat", named, world->secret, 200, "stop_requested");
	assert_call(world, "POST", "/gridnode/heartbeat", named, seed, 403, "a secret of its own");
	(void)snprintf(named, sizeof(named), "{\"node_id\": \"%s\", \"status\": \"Idle\", \"active_containers\": 0}", world->other_id);
	assert_call(world, "POST", "/gridnode/heartbeat", named, seed, 403, "a secret of its own"); /* nor for a revoked one */
	end(world);
}

/* A body may take its time; who was revoked meanwhile is out. */
static void test_auth_is_asked_again_when_the_body_is_there(void **state)
{
	(void)state;
	struct world *world = begin();
	struct fake_request fake;
	char body[256];
	(void)snprintf(body, sizeof(body), "{\"node_id\": \"%s\", \"status\": \"Idle\", \"active_containers\": 0}", world->node_id);
	fake_init(&fake, "POST", "/gridnode/heartbeat", body);
	fake.request.bearer = world->secret;
	api_on_headers(&world->hub, &fake.request);
	assert_int_equal(fake.answers, 0);
	assert_int_equal(nodes_revoke(world->hub.nodes, nodes_find(world->hub.nodes, world->node_id), NULL), 0);
	api_on_request(&world->hub, &fake.request);
	assert_int_equal(fake.answers, 1);
	assert_int_equal(fake.status, 401);
	fake_done(&fake);
	end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_auth_every_route_lets_in_whom_it_should),
		in_sandbox(test_auth_tokens_that_are_not_set_let_nobody_in),
		in_sandbox(test_auth_a_node_names_itself_alone),
		in_sandbox(test_auth_is_asked_again_when_the_body_is_there),
	};
	return cmocka_run_group_tests_name("auth", tests, NULL, NULL);
}
