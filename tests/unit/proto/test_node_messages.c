/* Protects what nodes tell the hub: each message reads back as it was written, older and newer agents are understood, and
 * nonsense is refused by its field's name. */
#include "proto/node_messages.h"

#include "proto/limits.h"
#include "support.h"

#include <string.h>

static void test_register_message_round_trip(void **state)
{
	(void)state;
	const struct register_message sent = {.node_id = "id-1",
					      .hostname = "host",
					      .architecture = "x86_64",
					      .cpu_count = 8,
					      .run = "r1",
					      .agent_version = "0.1.0",
					      .runtime = "docker",
					      .slots = 4,
					      .leases = true,
					      .exec = true};
	json_t *object = register_message_encode(&sent);
	struct register_message read;
	assert_int_equal(register_message_parse(object, &read, NULL), 0);
	assert_string_equal(read.node_id, "id-1");
	assert_string_equal(read.hostname, "host");
	assert_string_equal(read.architecture, "x86_64");
	assert_int_equal(read.cpu_count, 8);
	assert_string_equal(read.run, "r1");
	assert_string_equal(read.agent_version, "0.1.0");
	assert_string_equal(read.runtime, "docker");
	assert_int_equal(read.slots, 4);
	assert_true(read.leases && read.exec);
	json_decref(object);
}

static void test_register_message_of_a_seed_agent_is_understood(void **state)
{
	(void)state;
	json_t *object = json_loads("{\"hostname\": \"pi\", \"architecture\": \"aarch64\", \"cpu_count\": 4, \"node_id\": null,"
				    " \"something_new\": true}",
				    0, NULL);
	struct register_message read;
	assert_int_equal(register_message_parse(object, &read, NULL), 0);
	assert_null(read.node_id);
	assert_null(read.run);
	assert_int_equal(read.slots, 0);
	assert_false(read.leases || read.exec);
	json_decref(object);
}

static void assert_refused(int (*parse)(const char *text, struct err *err), const char *text, const char *expected)
{
	struct err err = {0};
	if (parse(text, &err) != ERR_INVALID)
		fail_msg("%s was taken", text);
	assert_contains(err.text, expected);
}

static int parse_register(const char *text, struct err *err)
{
	struct register_message message;
	json_t *object = json_loads(text, 0, NULL);
	int rc = register_message_parse(object, &message, err);
	json_decref(object);
	return rc;
}

static int parse_heartbeat(const char *text, struct err *err)
{
	struct heartbeat_message message;
	json_t *object = json_loads(text, 0, NULL);
	int rc = heartbeat_message_parse(object, &message, err);
	json_decref(object);
	return rc;
}

static void test_register_message_names_what_it_refuses(void **state)
{
	(void)state;
	assert_refused(parse_register, "{}", "field \"hostname\" is missing");
	assert_refused(parse_register, "{\"hostname\": \"h\"}", "field \"architecture\" is missing");
	assert_refused(parse_register, "{\"hostname\": \"h\", \"architecture\": \"x86_64\"}", "field \"cpu_count\" is missing");
	assert_refused(parse_register, "{\"hostname\": \"h\", \"architecture\": \"x\", \"cpu_count\": 0}", "field \"cpu_count\" must be from 1");
	assert_refused(parse_register, "{\"hostname\": \"h\", \"architecture\": \"x\", \"cpu_count\": 5000}", "field \"cpu_count\"");
	assert_refused(parse_register, "{\"hostname\": \"h\", \"architecture\": 1, \"cpu_count\": 1}", "field \"architecture\" must be a string");
	assert_refused(parse_register, "{\"hostname\": \"h\", \"architecture\": \"x\", \"cpu_count\": 1, \"node_id\": 7}", "field \"node_id\"");
	assert_refused(parse_register,
		       "{\"hostname\": \"h\", \"architecture\": \"x\", \"cpu_count\": 1, \"node_id\": "
		       "\"00000000000000000000000000000000000000000000000000000000000000000\"}",
		       "field \"node_id\" is longer than 64 bytes");
}

static void test_heartbeat_message_round_trip(void **state)
{
	(void)state;
	const struct heartbeat_message sent = {.node_id = "id-1",
					       .status = RUNTIME_STATUS_ERROR,
					       .active_containers = 3,
					       .task = "t",
					       .error = "no such image",
					       .pull = "10 of 20 MB",
					       .leaving = true};
	json_t *object = heartbeat_message_encode(&sent);
	struct heartbeat_message read;
	assert_int_equal(heartbeat_message_parse(object, &read, NULL), 0);
	assert_string_equal(read.node_id, "id-1");
	assert_int_equal(read.status, RUNTIME_STATUS_ERROR);
	assert_int_equal(read.active_containers, 3);
	assert_string_equal(read.task, "t");
	assert_string_equal(read.error, "no such image");
	assert_string_equal(read.pull, "10 of 20 MB");
	assert_true(read.leaving);
	json_decref(object);

	const struct heartbeat_message small = {.node_id = "id-1", .status = RUNTIME_STATUS_IDLE};
	object = heartbeat_message_encode(&small);
	assert_null(json_object_get(object, "leaving"));
	assert_int_equal(heartbeat_message_parse(object, &read, NULL), 0);
	assert_null(read.error);
	assert_false(read.leaving);
	json_decref(object);
}

static void test_heartbeat_message_names_what_it_refuses(void **state)
{
	(void)state;
	assert_refused(parse_heartbeat, "{}", "field \"node_id\" is missing");
	assert_refused(parse_heartbeat, "{\"node_id\": \"i\"}", "field \"status\" is missing");
	assert_refused(parse_heartbeat, "{\"node_id\": \"i\", \"status\": \"Idle\"}", "field \"active_containers\" is missing");
	assert_refused(parse_heartbeat, "{\"node_id\": \"i\", \"status\": \"idle\", \"active_containers\": 0}",
		       "field \"status\" must be Running, Idle or Error");
	assert_refused(parse_heartbeat, "{\"node_id\": \"i\", \"status\": \"Idle\", \"active_containers\": -1}",
		       "field \"active_containers\" must be from 0");
	assert_refused(parse_heartbeat, "{\"node_id\": \"i\", \"status\": \"Idle\", \"active_containers\": 0, \"leaving\": 1}",
		       "field \"leaving\" must be true or false");
}

static void test_heartbeat_message_bounds_error_texts(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		char error[LIMIT_NODE_ERROR + 2] = {0};
		memset(error, 'x', LIMIT_NODE_ERROR + over);
		const struct heartbeat_message sent = {.node_id = "i", .status = RUNTIME_STATUS_ERROR, .error = error};
		json_t *object = heartbeat_message_encode(&sent);
		struct heartbeat_message read;
		assert_int_equal(heartbeat_message_parse(object, &read, NULL), over ? ERR_INVALID : 0);
		json_decref(object);
	}
}

static void test_runtime_status_names_are_the_seeds(void **state)
{
	(void)state;
	assert_string_equal(runtime_status_name(RUNTIME_STATUS_RUNNING), "Running");
	assert_string_equal(runtime_status_name(RUNTIME_STATUS_IDLE), "Idle");
	assert_string_equal(runtime_status_name(RUNTIME_STATUS_ERROR), "Error");
	assert_null(runtime_status_name(RUNTIME_STATUS_UNKNOWN));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_register_message_round_trip),
		cmocka_unit_test(test_register_message_of_a_seed_agent_is_understood),
		cmocka_unit_test(test_register_message_names_what_it_refuses),
		cmocka_unit_test(test_heartbeat_message_round_trip),
		cmocka_unit_test(test_heartbeat_message_names_what_it_refuses),
		cmocka_unit_test(test_heartbeat_message_bounds_error_texts),
		cmocka_unit_test(test_runtime_status_names_are_the_seeds),
	};
	return cmocka_run_group_tests_name("node_messages", tests, NULL, NULL);
}
