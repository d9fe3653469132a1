/* Protects the API without sockets: each handler's answers and refusals, driven through a transport of the test's own. The
 * integration tests say the same of the real server; here faults can be put in. */
#include "hub/api/api.h"

#include "../support.h"
#include "base/log.h"
#include "fake_request.h"
#include "fault.h"
#include "hub/hub.h"
#include "hub_support.h"

#include <stdlib.h>
#include <string.h>

static char state_dir[] = "state";
static char bind_address[] = "127.0.0.1:0";
static char token[] = "test-token";
static char none[] = "";

struct world {
	uv_loop_t loop;
	struct hub_config config;
	struct hub hub;
};

static struct world *begin(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	struct world *world = calloc(1, sizeof(*world));
	assert_non_null(world);
	world->config = (struct hub_config){.bind = bind_address,
					    .token = token,
					    .tls_cert = none,
					    .tls_key = none,
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
	return world;
}

static void end(struct world *world)
{
	hub_stop(&world->hub);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
}

/* What the server does with a request. */
static void drive(struct world *world, struct fake_request *fake)
{
	api_on_headers(&world->hub, &fake->request);
	if (fake->answers)
		return;
	if (fake->request.body_len > fake->request.body_cap)
		fake->request.body = NULL;
	api_on_request(&world->hub, &fake->request);
}

static json_t *call(struct world *world, const char *method, const char *path, const char *body, unsigned status)
{
	struct fake_request fake;
	fake_init(&fake, method, path, body);
	drive(world, &fake);
	assert_int_equal(fake.answers, 1);
	if (fake.status != status)
		fail_msg("%s %s: %u %s", method, path, fake.status, fake.body);
	json_t *answer = fake_json(&fake);
	fake_done(&fake);
	return answer;
}

static void do_call(struct world *world, const char *method, const char *path, const char *body, unsigned status)
{
	json_decref(call(world, method, path, body, status));
}

static void assert_error(struct world *world, const char *method, const char *path, const char *body, unsigned status,
			 const char *code, const char *message)
{
	json_t *answer = call(world, method, path, body, status);
	json_t *error = json_object_get(answer, "error");
	assert_string_equal(json_string_value(json_object_get(error, "code")), code);
	assert_contains(json_string_value(json_object_get(error, "message")), message);
	json_decref(answer);
}

static void test_api_without_the_token_is_unauthorized_everywhere(void **state)
{
	(void)state;
	struct world *world = begin();
	static const char *const PATHS[] = {"/api/tasks", "/api/nodes", "/gridnode/task", "/unknown", "/api/tasks/x", "/"};
	static const char *const TOKENS[] = {NULL, "", "test-toke", "test-token2", "TEST-TOKEN", "test-tokentest-token"};
	for (size_t i = 0; i < sizeof(PATHS) / sizeof(PATHS[0]); i++) {
		for (size_t j = 0; j < sizeof(TOKENS) / sizeof(TOKENS[0]); j++) {
			struct fake_request fake;
			fake_init(&fake, i % 2 ? "POST" : "GET", PATHS[i], NULL);
			fake.request.bearer = TOKENS[j];
			api_on_headers(&world->hub, &fake.request);
			assert_int_equal(fake.answers, 1);
			assert_int_equal(fake.status, 401);
			assert_true(fake.authenticate);
			assert_contains(fake.body, "\"unauthorized\"");
			fake_done(&fake);
		}
	}
	struct fake_request fake;
	fake_init(&fake, "GET", "/health", NULL);
	fake.request.bearer = NULL;
	drive(world, &fake);
	assert_int_equal(fake.status, 200);
	assert_string_equal(fake.body, "OK");
	fake_done(&fake);
	end(world);
}

static void test_api_unknown_paths_and_wrong_methods(void **state)
{
	(void)state;
	struct world *world = begin();
	assert_error(world, "GET", "/api/unknown", NULL, 404, "not_found", "no such path");
	struct fake_request fake;
	fake_init(&fake, "PUT", "/api/tasks", NULL);
	drive(world, &fake);
	assert_int_equal(fake.status, 405);
	assert_string_equal(fake.allow, "GET, POST");
	assert_contains(fake.body, "method_not_allowed");
	fake_done(&fake);
	end(world);
}

static void test_api_bodies_that_are_none(void **state)
{
	(void)state;
	struct world *world = begin();
	assert_error(world, "POST", "/api/tasks", "", 400, "bad_json", "line 1, column 0");
	assert_error(world, "POST", "/api/tasks", "{\"name\": \"a\",\n  image}", 400, "bad_json", "line 2, column ");
	assert_error(world, "POST", "/api/tasks", "[]", 400, "bad_json", "must be a JSON object");
	char *huge = malloc(1024 * 1024 + 2);
	assert_non_null(huge);
	memset(huge, ' ', 1024 * 1024 + 1);
	huge[1024 * 1024 + 1] = '\0';
	assert_error(world, "POST", "/api/tasks", huge, 413, "too_large", "larger than 262144 bytes");
	assert_error(world, "POST", "/gridnode/register", huge, 413, "too_large", "larger than 16384 bytes");
	free(huge);
	end(world);
}

static void test_api_tasks_life(void **state)
{
	(void)state;
	struct world *world = begin();
	json_t *task = call(world, "POST", "/api/tasks",
			    "{\"name\": \"a\", \"image\": \"i\", \"input_redis\": \"redis://:hunter2@h\"}", 201);
	assert_string_equal(json_string_value(json_object_get(task, "status")), "running");
	assert_string_equal(json_string_value(json_object_get(task, "input_redis")), "redis://:***@h");
	json_decref(task);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"b\", \"image\": \"i\"}", 201);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"c\", \"image\": \"i\"}", 201);
	assert_error(world, "POST", "/api/tasks", "{\"name\": \"a\", \"image\": \"i\"}", 409, "conflict", "already running");
	assert_error(world, "POST", "/api/tasks", "{\"name\": \"b\", \"image\": \"i\"}", 409, "conflict", "already waiting");
	assert_error(world, "POST", "/api/tasks", "{\"name\": \"x\"}", 400, "bad_request", "\"image\"");

	json_t *answer = call(world, "POST", "/api/tasks/next", NULL, 200);
	assert_true(json_equal(answer, json_object_get(answer, "x")) == 0);
	assert_string_equal(json_string_value(json_object_get(answer, "previous")), "a");
	assert_string_equal(json_string_value(json_object_get(answer, "current")), "b");
	json_decref(answer);

	assert_error(world, "DELETE", "/api/tasks/b", NULL, 409, "conflict", "running");
	assert_error(world, "DELETE", "/api/tasks/a", NULL, 409, "conflict", "completed");
	assert_error(world, "DELETE", "/api/tasks/z", NULL, 404, "not_found", "no task named \"z\"");
	do_call(world, "DELETE", "/api/tasks/c", NULL, 200);
	assert_error(world, "POST", "/api/tasks/next", NULL, 400, "no_task_waiting", "\"b\" goes on");

	answer = call(world, "GET", "/api/tasks", NULL, 200);
	assert_string_equal(json_string_value(json_object_get(answer, "current")), "b");
	assert_int_equal(json_array_size(json_object_get(answer, "pending")), 0);
	assert_int_equal(json_array_size(json_object_get(answer, "completed")), 1);
	assert_int_equal(json_array_size(json_object_get(answer, "tasks")), 2);
	char *text = json_dumps(answer, 0);
	assert_lacks(text, "hunter2");
	free(text);
	json_decref(answer);

	answer = call(world, "POST", "/api/tasks/finish", NULL, 200);
	assert_string_equal(json_string_value(json_object_get(answer, "completed")), "b");
	assert_true(json_is_null(json_object_get(answer, "started")));
	json_decref(answer);
	assert_error(world, "POST", "/api/tasks/finish", NULL, 400, "no_task_running", "no task is running");
	assert_error(world, "POST", "/api/tasks/next", NULL, 400, "no_task_waiting", "no task is waiting");
	assert_error(world, "GET", "/api/tasks/z", NULL, 404, "not_found", "\"z\"");
	do_call(world, "GET", "/api/tasks/a", NULL, 200);
	end(world);
}

static void test_api_state_that_cannot_be_written_is_unavailable(void **state)
{
	(void)state;
	struct world *world = begin();
	do_call(world, "POST", "/api/tasks", "{\"name\": \"a\", \"image\": \"i\"}", 201);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"b\", \"image\": \"i\"}", 201);
	forbid_writes();
	static const struct {
		const char *method, *path, *body;
	} CALLS[] = {
		{"POST", "/api/tasks", "{\"name\": \"c\", \"image\": \"i\"}"},
		{"POST", "/api/tasks/next", NULL},
		{"POST", "/api/tasks/finish", NULL},
		{"DELETE", "/api/tasks/b", NULL},
		{"POST", "/gridnode/register", "{\"hostname\": \"h\", \"architecture\": \"x86_64\", \"cpu_count\": 1}"},
	};
	for (size_t i = 0; i < sizeof(CALLS) / sizeof(CALLS[0]); i++)
		assert_error(world, CALLS[i].method, CALLS[i].path, CALLS[i].body, 503, "state_unavailable", "cannot write");
	allow_writes();
	json_t *answer = call(world, "GET", "/api/tasks", NULL, 200);
	assert_string_equal(json_string_value(json_object_get(answer, "current")), "a");
	assert_int_equal(json_array_size(json_object_get(answer, "pending")), 1);
	json_decref(answer);
	end(world);
}

static void enroll(struct world *world, const char *architecture, char id[UUID_SIZE])
{
	json_t *body = json_pack("{s:s, s:s, s:i}", "hostname", "h", "architecture", architecture, "cpu_count", 2);
	char *text = json_dumps(body, 0);
	json_t *answer = call(world, "POST", "/gridnode/register", text, 200);
	(void)snprintf(id, UUID_SIZE, "%s", json_string_value(json_object_get(answer, "node_id")));
	json_decref(answer);
	json_decref(body);
	free(text);
}

static void hold_call(struct world *world, struct fake_request *fake, const char *node_id)
{
	fake_init(fake, "GET", "/gridnode/task", NULL);
	static char version[32];
	(void)snprintf(version, sizeof(version), "%lld", (long long)tasks_version(world->hub.tasks));
	const char *const query[] = {"version", version, "wait", "30", node_id ? "node_id" : NULL, node_id};
	memcpy(fake->query, query, sizeof(query));
	drive(world, fake);
}

static void assert_released(struct fake_request *fake, const char *task_name, bool stop)
{
	assert_int_equal(fake->answers, 1);
	assert_int_equal(fake->status, 200);
	json_t *answer = fake_json(fake);
	json_t *task = json_object_get(answer, "task");
	if (task_name)
		assert_string_equal(json_string_value(json_object_get(task, "task_name")), task_name);
	else
		assert_true(json_is_null(task));
	assert_int_equal(json_is_true(json_object_get(answer, "stop_requested")), stop);
	json_decref(answer);
	fake_done(fake);
}

static void test_api_held_call_is_released_by_what_changes(void **state)
{
	(void)state;
	struct world *world = begin();
	char id[UUID_SIZE];
	char other[UUID_SIZE];
	enroll(world, "x86_64", id);
	enroll(world, "x86_64", other);
	struct fake_request one;
	struct fake_request two;

	hold_call(world, &one, id);
	assert_true(one.held);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"a\", \"image\": \"i\"}", 201); /* starts at once */
	assert_released(&one, "a", false);

	hold_call(world, &one, id);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"b\", \"image\": \"i\"}", 201); /* waits: no news for nodes */
	assert_true(one.held);
	do_call(world, "POST", "/api/tasks/next", NULL, 200);
	assert_released(&one, "b", false);

	hold_call(world, &one, id);
	hold_call(world, &two, NULL);
	assert_error(world, "POST", "/api/tasks/next", NULL, 400, "no_task_waiting", "");
	assert_true(one.held && two.held);
	do_call(world, "POST", "/api/tasks/finish", NULL, 200);
	assert_released(&one, NULL, false);
	assert_released(&two, NULL, false);

	char stop[128];
	(void)snprintf(stop, sizeof(stop), "/api/nodes/%s/stop", id);
	hold_call(world, &one, id);
	hold_call(world, &two, other);
	do_call(world, "POST", stop, NULL, 200);
	assert_true(two.held); /* the stop is for the other */
	assert_released(&one, NULL, true);
	hold_call(world, &one, id); /* a stop is told at once until there is a new run */
	assert_released(&one, NULL, true);

	fake_go(&two);
	fake_done(&two);
	end(world);
}

static void test_api_held_call_is_answered_at_its_deadline(void **state)
{
	(void)state;
	struct world *world = begin();
	struct fake_request fake;
	hold_call(world, &fake, NULL);
	fake_go(&fake);
	fake_done(&fake);

	fake_init(&fake, "GET", "/gridnode/task", NULL);
	static char version[32];
	(void)snprintf(version, sizeof(version), "%lld", (long long)tasks_version(world->hub.tasks));
	const char *const query[] = {"version", version, "wait", "1"};
	memcpy(fake.query, query, sizeof(query));
	drive(world, &fake);
	assert_true(fake.held);
	int64_t begun = hub_now().monotonic_ms;
	while (!fake.answers && hub_now().monotonic_ms - begun < 10000)
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	assert_in_range((uintmax_t)(hub_now().monotonic_ms - begun), 900, 3000);
	assert_released(&fake, NULL, false);
	end(world);
}

static void test_api_held_call_refuses_nonsense(void **state)
{
	(void)state;
	struct world *world = begin();
	static const char *const QUERIES[][2] = {{"wait", "x"}, {"wait", "-1"}, {"version", "1.5"}, {"wait", ""},
						 {"wait", "9999999999999999999"}, {"platform", "linux/386"}, {"platform", ""}};
	for (size_t i = 0; i < sizeof(QUERIES) / sizeof(QUERIES[0]); i++) {
		struct fake_request fake;
		fake_init(&fake, "GET", "/gridnode/task", NULL);
		fake.query[0] = QUERIES[i][0];
		fake.query[1] = QUERIES[i][1];
		drive(world, &fake);
		assert_int_equal(fake.status, 400);
		fake_done(&fake);
	}
	struct fake_request fake;
	fake_init(&fake, "GET", "/gridnode/task", NULL);
	fake.query[0] = "node_id";
	fake.query[1] = "nobody";
	drive(world, &fake);
	assert_int_equal(fake.status, 404);
	assert_contains(fake.body, "unknown_node");
	fake_done(&fake);
	end(world);
}

static void test_api_nodes_say_why_they_idle(void **state)
{
	(void)state;
	struct world *world = begin();
	char id[UUID_SIZE];
	enroll(world, "x86_64", id);
	enroll(world, "aarch64", id);
	enroll(world, "riscv64", id);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"a\", \"images\": {\"linux/amd64\": \"i\"}}", 201);
	json_t *nodes = call(world, "GET", "/api/nodes", NULL, 200);
	assert_int_equal(json_array_size(nodes), 3);
	assert_true(json_is_null(json_object_get(json_array_get(nodes, 0), "idle_reason")));
	assert_contains(json_string_value(json_object_get(json_array_get(nodes, 1), "idle_reason")), "no image for linux/arm64");
	assert_contains(json_string_value(json_object_get(json_array_get(nodes, 2), "idle_reason")), "riscv64");
	json_decref(nodes);
	end(world);
}

/* An agent that knows no exec would start the image's own program. */
static void test_api_exec_tasks_are_for_agents_that_know_them(void **state)
{
	(void)state;
	struct world *world = begin();
	static const char *const AGENTS[] = {"", ", \"leases\": true", ", \"leases\": true, \"exec\": true", ", \"exec\": true"};
	do_call(world, "POST", "/api/tasks",
		"{\"name\": \"a\", \"image\": \"i\", \"input_redis\": \"redis://127.0.0.1:1\", \"input_queue\": \"in\","
		" \"output_queue\": \"out\", \"exec\": [\"x\"]}",
		201);
	for (size_t i = 0; i < 4; i++) {
		char body[256];
		(void)snprintf(body, sizeof(body),
			       "{\"hostname\": \"h\", \"architecture\": \"x86_64\", \"cpu_count\": 1, \"run\": \"r\"%s}", AGENTS[i]);
		json_t *answer = call(world, "POST", "/gridnode/register", body, 200);
		assert_int_equal(json_is_object(json_object_get(answer, "current_task")), i == 2);
		json_decref(answer);
	}
	json_t *nodes = call(world, "GET", "/api/nodes", NULL, 200);
	for (size_t i = 0; i < 4; i++) {
		const char *reason = json_string_value(json_object_get(json_array_get(nodes, i), "idle_reason"));
		if (i == 2)
			assert_null(reason);
		else
			assert_contains(reason, "this agent is too old for exec tasks");
	}
	json_decref(nodes);
	end(world);
}

static void test_api_empty_listings(void **state)
{
	(void)state;
	struct world *world = begin();
	json_t *nodes = call(world, "GET", "/api/nodes", NULL, 200);
	assert_true(json_is_array(nodes));
	assert_int_equal(json_array_size(nodes), 0);
	json_decref(nodes);
	json_t *tasks = call(world, "GET", "/api/tasks", NULL, 200);
	assert_true(json_is_null(json_object_get(tasks, "current")));
	assert_int_equal(json_array_size(json_object_get(tasks, "tasks")), 0);
	json_decref(tasks);
	end(world);
}

static void test_api_node_unknown_to_the_hub(void **state)
{
	(void)state;
	struct world *world = begin();
	assert_error(world, "POST", "/gridnode/heartbeat",
		     "{\"node_id\": \"nobody\", \"status\": \"Idle\", \"active_containers\": 0}", 404, "unknown_node",
		     "register again");
	assert_error(world, "POST", "/api/nodes/nobody/stop", NULL, 404, "not_found", "no node");
	end(world);
}

/* told: what the agent says that it knows, "1" or "0". */
static void hold_told(struct world *world, struct fake_request *fake, const char *node_id, const char *told)
{
	static char version[32];
	(void)snprintf(version, sizeof(version), "%lld", (long long)tasks_version(world->hub.tasks));
	const char *const query[] = {"version", version, "wait", "30", "node_id", node_id, "draining", told};
	fake_init(fake, "GET", "/gridnode/task", NULL);
	memcpy(fake->query, query, sizeof(query));
	drive(world, fake);
}

static void assert_told(struct fake_request *fake, bool draining)
{
	assert_int_equal(fake->answers, 1);
	json_t *answer = fake_json(fake);
	assert_int_equal(json_is_true(json_object_get(answer, "draining")), draining);
	assert_int_equal(json_is_null(json_object_get(answer, "task")), draining);
	json_decref(answer);
	fake_done(fake);
}

/* Its held call is answered at once with nothing to do, and again when it may work. */
static void test_api_drained_node_gets_no_task(void **state)
{
	(void)state;
	struct world *world = begin();
	char id[UUID_SIZE];
	char drain[128];
	char undrain[128];
	struct fake_request held;
	do_call(world, "POST", "/api/tasks", "{\"name\": \"a\", \"image\": \"i\", \"delivery\": \"direct\"}", 201);
	enroll(world, "x86_64", id);
	(void)snprintf(drain, sizeof(drain), "/api/nodes/%s/drain", id);
	(void)snprintf(undrain, sizeof(undrain), "/api/nodes/%s/undrain", id);

	hold_told(world, &held, id, "0");
	assert_true(held.held);
	do_call(world, "POST", drain, NULL, 200);
	assert_told(&held, true);
	hold_told(world, &held, id, "0"); /* that answer was lost */
	assert_told(&held, true);
	hold_told(world, &held, id, "1");
	do_call(world, "POST", drain, NULL, 200); /* it is so already: nobody is called */
	assert_true(held.held);
	assert_int_equal(held.answers, 0);

	json_t *nodes = call(world, "GET", "/api/nodes", NULL, 200);
	assert_true(json_is_true(json_object_get(json_array_get(nodes, 0), "draining")));
	assert_contains(json_string_value(json_object_get(json_array_get(nodes, 0), "idle_reason")), "undrain");
	json_decref(nodes);
	do_call(world, "POST", undrain, NULL, 200);
	assert_told(&held, false);
	hold_call(world, &held, id); /* an agent that knows nothing of it is not answered again and again */
	assert_true(held.held);
	do_call(world, "POST", drain, NULL, 200);
	assert_told(&held, true);
	hold_call(world, &held, id);
	assert_int_equal(held.answers, 0);
	fake_go(&held);
	fake_done(&held);
	assert_error(world, "POST", "/api/nodes/nobody/drain", NULL, 404, "not_found", "no node");
	end(world);
}

static void test_api_tasks_by_name_refuse_what_is_not_so(void **state)
{
	(void)state;
	struct world *world = begin();
	do_call(world, "POST", "/api/tasks", "{\"name\": \"a\", \"image\": \"i\", \"delivery\": \"direct\"}", 201);
	do_call(world, "POST", "/api/tasks", "{\"name\": \"b\", \"image\": \"i\", \"delivery\": \"direct\"}", 201);
	assert_error(world, "POST", "/api/tasks/b/finish", NULL, 409, "bad_state", "waiting");
	assert_error(world, "POST", "/api/tasks/c/finish", NULL, 404, "not_found", "no task");
	assert_error(world, "POST", "/api/tasks/a/pause", NULL, 400, "bad_request", "direct");
	assert_error(world, "POST", "/api/tasks/c/pause", NULL, 404, "not_found", "no task");
	assert_error(world, "GET", "/api/tasks/a/failures", NULL, 400, "bad_state", "direct");
	assert_error(world, "POST", "/api/tasks/a/cancel", "{\"purge\": true}", 400, "bad_request", "direct");
	assert_error(world, "POST", "/api/tasks/a/cancel", "{\"purge\": 1}", 400, "bad_request", "purge");
	assert_error(world, "POST", "/api/tasks/a/cancel", "{\"forge\": true}", 400, "bad_request", "forge");
	assert_error(world, "POST", "/api/tasks/a/cancel", "nonsense", 400, "bad_request", "line 1");
	assert_string_equal(tasks_current(world->hub.tasks)->spec.name, "a");
	do_call(world, "POST", "/api/tasks/a/cancel", NULL, 200);
	assert_string_equal(tasks_current(world->hub.tasks)->spec.name, "b");
	assert_error(world, "POST", "/api/tasks/a/cancel", NULL, 409, "bad_state", "cancelled");
	do_call(world, "POST", "/api/tasks/b/finish", NULL, 200);
	assert_error(world, "POST", "/api/tasks/b/resume", NULL, 409, "bad_state", "completed");
	end(world);
}

/* Without memory each call is answered all the same, once, and nothing is half done. */
static void test_api_without_memory_answers_and_changes_nothing(void **state)
{
	(void)state;
	struct world *world = begin();
	static const char BODY[] = "{\"name\": \"b\", \"image\": \"i\", \"env\": {\"A\": \"1\"}, \"command\": [\"x\"],"
				   " \"output_redis\": \"redis://:hunter2@h\"}";
	do_call(world, "POST", "/api/tasks", "{\"name\": \"a\", \"image\": \"i\"}", 201);
	unsigned n = 0;
	bool reached;
	unsigned refused = 0;
	do {
		struct fake_request fake;
		fake_init(&fake, "POST", "/api/tasks", BODY);
		fault_arm(++n);
		drive(world, &fake);
		reached = fault_disarm();
		assert_int_equal(fake.answers, 1);
		const struct task *task = tasks_find(world->hub.tasks, "b");
		if (fake.status == 201)
			assert_non_null(task);
		refused += !task;
		fake_done(&fake);
		if (task)
			do_call(world, "DELETE", "/api/tasks/b", NULL, 200);
	} while (reached);
	assert_true(refused > 20);
	end(world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_api_without_the_token_is_unauthorized_everywhere),
		in_sandbox(test_api_unknown_paths_and_wrong_methods),
		in_sandbox(test_api_bodies_that_are_none),
		in_sandbox(test_api_tasks_life),
		in_sandbox(test_api_state_that_cannot_be_written_is_unavailable),
		in_sandbox(test_api_held_call_is_released_by_what_changes),
		in_sandbox(test_api_held_call_is_answered_at_its_deadline),
		in_sandbox(test_api_held_call_refuses_nonsense),
		in_sandbox(test_api_nodes_say_why_they_idle),
		in_sandbox(test_api_exec_tasks_are_for_agents_that_know_them),
		in_sandbox(test_api_empty_listings),
		in_sandbox(test_api_node_unknown_to_the_hub),
		in_sandbox(test_api_drained_node_gets_no_task),
		in_sandbox(test_api_tasks_by_name_refuse_what_is_not_so),
		in_sandbox(test_api_without_memory_answers_and_changes_nothing),
	};
	return cmocka_run_group_tests_name("api", tests, NULL, NULL);
}
