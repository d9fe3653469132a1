/* Protects the shape of tasks: what is taken, what is refused and how that is said, and that what is stored comes back. */
#include "proto/task_spec.h"

#include "fault.h"
#include "proto/limits.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *json(const char *text)
{
	json_error_t error;
	json_t *value = json_loads(text, 0, &error);
	if (!value)
		fail_msg("%s: %s", text, error.text);
	return value;
}

static int parse(const char *text, struct task_spec *spec, struct err *err)
{
	json_t *object = json(text);
	int rc = task_spec_parse(object, spec, err);
	json_decref(object);
	return rc;
}

static const char FULL[] =
	"{\"name\": \"hea-calc \xe4\xb8\xad\", \"image\": \"r/hea:v1\","
	" \"images\": {\"linux/arm64\": \"r/hea:arm\", \"linux/arm/v7\": \"r/hea:arm7\"},"
	" \"input_redis\": \"redis://:hunter2@in:6379\", \"output_redis\": \"redis://user:hunter2@out/2\","
	" \"input_queue\": \"hea:input\", \"output_queue\": \"hea:output\", \"delivery\": \"direct\","
	" \"command\": [\"/bin/x\", \"\", \"a b\"], \"env\": {\"A\": \"1\", \"B\": \"\"}, \"memory_mb\": 512, \"cpus\": 2}";

static void test_task_spec_takes_every_field(void **state)
{
	(void)state;
	struct task_spec spec;
	assert_int_equal(parse(FULL, &spec, NULL), 0);
	assert_string_equal(spec.name, "hea-calc \xe4\xb8\xad");
	assert_string_equal(spec.image, "r/hea:v1");
	assert_string_equal(spec.input_redis, "redis://:hunter2@in:6379");
	assert_string_equal(spec.output_redis, "redis://user:hunter2@out/2");
	assert_string_equal(spec.input_queue, "hea:input");
	assert_string_equal(spec.output_queue, "hea:output");
	assert_int_equal(json_array_size(spec.command), 3);
	assert_int_equal(json_object_size(spec.env), 2);
	assert_int_equal(spec.memory_mb, 512);
	assert_int_equal(spec.cpus, 2);
	task_spec_done(&spec);
}

static void test_task_spec_needs_a_name_and_something_to_run(void **state)
{
	(void)state;
	static const char *const GOOD[] = {
		"{\"name\": \"n\", \"image\": \"i\"}",
		"{\"name\": \"n\", \"images\": {\"linux/amd64\": \"i\"}}",
		"{\"name\": \"n\", \"command\": [\"x\"]}",
		"{\"name\": \" n \", \"image\": \"i\", \"delivery\": null, \"env\": {}}",
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct task_spec spec;
		struct err err = {0};
		if (parse(GOOD[i], &spec, &err))
			fail_msg("%s: %s", GOOD[i], err.text);
		assert_int_equal(spec.cpus, 1);
		assert_int_equal(spec.memory_mb, 0);
		assert_int_equal(spec.delivery, DELIVERY_DIRECT);
		task_spec_done(&spec);
	}
}

static void test_task_spec_names_what_it_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		const char *text;
	} CASES[] = {
		{"{}", "field \"name\" is missing"},
		{"{\"name\": 1}", "field \"name\" must be a string"},
		{"{\"name\": \"\", \"image\": \"i\"}", "field \"name\" must not be empty"},
		{"{\"name\": \"   \", \"image\": \"i\"}", "field \"name\" must not be empty"},
		{"{\"name\": \"a/b\", \"image\": \"i\"}", "field \"name\" must not have control characters or '/'"},
		{"{\"name\": \"a\\nb\", \"image\": \"i\"}", "field \"name\" must not have control characters"},
		{"{\"name\": \"a\\u007fb\", \"image\": \"i\"}", "field \"name\" must not have control characters"},
		{"{\"name\": \"n\"}", "one of the fields \"image\", \"images\""},
		{"{\"name\": \"n\", \"images\": {}}", "one of the fields \"image\", \"images\""},
		{"{\"name\": \"n\", \"image\": \"\"}", "field \"image\" must name an image"},
		{"{\"name\": \"n\", \"image\": \"a b\"}", "field \"image\": an image's name has no spaces"},
		{"{\"name\": \"n\", \"image\": [\"a\"]}", "field \"image\" must be a string"},
		{"{\"name\": \"n\", \"images\": {\"linux/amd64\": \"\"}}", "field \"images\" must name an image"},
		{"{\"name\": \"n\", \"images\": {\"linux/amd64\": 1}}", "field \"images\" must be an object whose values are strings"},
		{"{\"name\": \"n\", \"images\": \"i\"}", "field \"images\" must be an object"},
		{"{\"name\": \"n\", \"images\": {\"linux/386\": \"i\"}}", "unknown platform; known are linux/amd64"},
		{"{\"name\": \"n\", \"image\": \"i\", \"command\": []}", "field \"command\" must have 1 to 256 strings"},
		{"{\"name\": \"n\", \"image\": \"i\", \"command\": [\"\"]}", "the first one not empty"},
		{"{\"name\": \"n\", \"image\": \"i\", \"command\": \"x\"}", "field \"command\" must be an array of strings"},
		{"{\"name\": \"n\", \"image\": \"i\", \"command\": [1]}", "field \"command\" must be an array of strings"},
		{"{\"name\": \"n\", \"image\": \"i\", \"env\": {\"\": \"x\"}}", "field \"env\" has a variable"},
		{"{\"name\": \"n\", \"image\": \"i\", \"env\": {\"A=B\": \"x\"}}", "field \"env\" has a variable"},
		{"{\"name\": \"n\", \"image\": \"i\", \"env\": {\"A\": 1}}", "field \"env\" must be an object whose values are strings"},
		{"{\"name\": \"n\", \"image\": \"i\", \"env\": [\"A=1\"]}", "field \"env\" must be an object"},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_redis\": \"http://hunter2\"}", "field \"input_redis\": the URL must begin with redis://"},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_redis\": \"\"}", "field \"input_redis\": "},
		{"{\"name\": \"n\", \"image\": \"i\", \"output_redis\": \"redis://:hunter2@\"}", "field \"output_redis\": "},
		{"{\"name\": \"n\", \"image\": \"i\", \"output_redis\": \"redis:/:hunter2@host/0\"}", "field \"output_redis\": "},
		{"{\"name\": \"n\", \"image\": \"i\", \"output_redis\": \"redis:///:hunter2@host/0\"}", "field \"output_redis\": "},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_redis\": 1}", "field \"input_redis\" must be a string"},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_queue\": {}}", "field \"input_queue\" must be a string"},
		{"{\"name\": \"n\", \"image\": \"i\", \"delivery\": \"leased\"}", "field \"input_queue\" is needed for leased delivery"},
		{"{\"name\": \"n\", \"image\": \"i\", \"delivery\": \"both\"}", "field \"delivery\" must be \"leased\" or \"direct\""},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_queue\": \"a:idm:b\"}", "must not have \":idm:\""},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_queue\": \"q:in\", \"output_queue\": \"q\"}", "the input queue lies under the output queue's name"},
		{"{\"name\": \"n\", \"image\": \"i\", \"input_queue\": \"q\", \"output_queue\": \"q\"}", "the input queue lies under the output queue's name"},
		{"{\"name\": \"n\", \"image\": \"i\", \"network\": \"bridge\"}", "field \"network\" must be \"none\" or \"outbound\""},
		{"{\"name\": \"n\", \"image\": \"i\", \"pop\": \"middle\"}", "field \"pop\" must be \"right\" or \"left\""},
		{"{\"name\": \"n\", \"image\": \"i\", \"max_attempts\": 0}", "field \"max_attempts\" must be from 1 to "},
		{"{\"name\": \"n\", \"image\": \"i\", \"concurrency\": 2}", "field \"concurrency\" must be from 0 to 1"},
		{"{\"name\": \"n\", \"image\": \"i\", \"delivery\": 1}", "field \"delivery\" must be a string"},
		{"{\"name\": \"n\", \"image\": \"i\", \"memory_mb\": 5}", "field \"memory_mb\" must be from 6 to "},
		{"{\"name\": \"n\", \"image\": \"i\", \"memory_mb\": -1}", "field \"memory_mb\" must be from 6 to "},
		{"{\"name\": \"n\", \"image\": \"i\", \"memory_mb\": 16777217}", "field \"memory_mb\" must be from 6 to "},
		{"{\"name\": \"n\", \"image\": \"i\", \"memory_mb\": \"512\"}", "field \"memory_mb\" must be an integer"},
		{"{\"name\": \"n\", \"image\": \"i\", \"cpus\": 0}", "field \"cpus\" must be from 1 to 4096"},
		{"{\"name\": \"n\", \"image\": \"i\", \"cpus\": 1.5}", "field \"cpus\" must be an integer"},
		{"{\"name\": \"n\", \"image\": \"i\", \"input-redis\": \"x\"}", "unknown field \"input-redis\""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct task_spec spec;
		struct err err = {0};
		if (parse(CASES[i].body, &spec, &err) != ERR_INVALID)
			fail_msg("%s was taken", CASES[i].body);
		assert_contains(err.text, CASES[i].text);
		assert_lacks(err.text, "hunter2");
		task_spec_done(&spec);
	}
}

static void test_task_spec_lengths_are_bounded(void **state)
{
	(void)state;
	static const struct {
		const char *field;
		size_t max;
	} TEXTS[] = {{"name", LIMIT_TASK_NAME}, {"image", LIMIT_IMAGE}, {"input_queue", LIMIT_QUEUE_NAME},
		     {"output_queue", LIMIT_QUEUE_NAME}};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		for (size_t over = 0; over < 2; over++) {
			char text[1024] = {0};
			memset(text, 'x', TEXTS[i].max + over);
			json_t *object = json_pack("{s:s, s:s}", "name", "n", "image", "i");
			assert_int_equal(json_object_set_new(object, TEXTS[i].field, json_string(text)), 0);
			struct task_spec spec;
			struct err err = {0};
			assert_int_equal(task_spec_parse(object, &spec, &err), over ? ERR_INVALID : 0);
			if (over)
				assert_contains(err.text, TEXTS[i].field);
			task_spec_done(&spec);
			json_decref(object);
		}
	}
}

static void test_task_spec_counts_are_bounded(void **state)
{
	(void)state;
	json_t *env = json_object();
	json_t *command = json_array();
	for (int i = 0; i <= LIMIT_ENV_VARIABLES; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "V%d", i);
		assert_int_equal(json_object_set_new(env, name, json_string("x")), 0);
	}
	for (int i = 0; i <= LIMIT_COMMAND_PARTS; i++)
		assert_int_equal(json_array_append_new(command, json_string("x")), 0);
	struct task_spec spec;
	struct err err = {0};
	json_t *object = json_pack("{s:s, s:s, s:o}", "name", "n", "image", "i", "env", env);
	assert_int_equal(task_spec_parse(object, &spec, &err), ERR_INVALID);
	assert_contains(err.text, "field \"env\" has more than 256 variables");
	assert_int_equal(json_object_del(env, "V0"), 0);
	assert_int_equal(task_spec_parse(object, &spec, &err), 0);
	task_spec_done(&spec);
	assert_int_equal(json_object_set_new(object, "command", command), 0);
	assert_int_equal(task_spec_parse(object, &spec, &err), ERR_INVALID);
	assert_int_equal(json_array_remove(command, 0), 0);
	assert_int_equal(task_spec_parse(object, &spec, &err), 0);
	task_spec_done(&spec);
	json_decref(object);
}

static void test_task_spec_comes_back_as_it_went(void **state)
{
	(void)state;
	struct task_spec spec;
	struct task_spec again;
	assert_int_equal(parse(FULL, &spec, NULL), 0);
	json_t *out = task_spec_to_json(&spec, false);
	assert_int_equal(task_spec_parse(out, &again, NULL), 0);
	json_t *out_again = task_spec_to_json(&again, false);
	assert_true(json_equal(out, out_again));
	assert_string_equal(again.output_redis, "redis://user:hunter2@out/2");
	json_decref(out);
	json_decref(out_again);
	task_spec_done(&spec);
	task_spec_done(&again);

	assert_int_equal(parse("{\"name\": \"n\", \"command\": [\"x\"]}", &spec, NULL), 0);
	out = task_spec_to_json(&spec, false);
	assert_true(json_is_null(json_object_get(out, "image")));
	assert_true(json_is_null(json_object_get(out, "input_redis")));
	assert_true(json_is_null(json_object_get(out, "memory_mb")));
	assert_int_equal(task_spec_parse(out, &again, NULL), 0);
	json_decref(out);
	task_spec_done(&spec);
	task_spec_done(&again);
}

static void test_task_spec_masked_shows_no_password(void **state)
{
	(void)state;
	struct task_spec spec;
	assert_int_equal(parse(FULL, &spec, NULL), 0);
	json_t *out = task_spec_to_json(&spec, true);
	char *text = json_dumps(out, 0);
	assert_lacks(text, "hunter2");
	assert_contains(text, "redis://:***@in:6379");
	assert_contains(text, "redis://user:***@out/2");
	free(text);
	json_decref(out);
	task_spec_done(&spec);
}

static void test_task_spec_image_prefers_the_platforms_own(void **state)
{
	(void)state;
	struct task_spec spec;
	assert_int_equal(parse(FULL, &spec, NULL), 0);
	assert_string_equal(task_spec_image(&spec, "linux/arm64"), "r/hea:arm");
	assert_string_equal(task_spec_image(&spec, "linux/amd64"), "r/hea:v1");
	task_spec_done(&spec);
	assert_int_equal(parse("{\"name\": \"n\", \"images\": {\"linux/arm64\": \"i\"}}", &spec, NULL), 0);
	assert_null(task_spec_image(&spec, "linux/amd64"));
	task_spec_done(&spec);
}

static void test_task_spec_without_memory_fails_cleanly(void **state)
{
	(void)state;
	json_t *object = json(FULL);
	unsigned n = 0;
	bool reached;
	do {
		struct task_spec spec;
		struct err err = {0};
		fault_arm(++n);
		int rc = task_spec_parse(object, &spec, &err);
		json_t *out = rc ? NULL : task_spec_to_json(&spec, true);
		reached = fault_disarm();
		assert_true((rc == 0 && out) || reached);
		if (rc)
			assert_int_not_equal(err.code, ERR_OK);
		/* What could not be masked must not come out instead. */
		char *text = out ? json_dumps(out, 0) : NULL;
		assert_lacks(text, "hunter2");
		free(text);
		json_decref(out);
		task_spec_done(&spec);
	} while (reached);
	assert_true(n > 20);
	json_decref(object);
}

static const char LEASED[] = "{\"name\": \"n\", \"image\": \"i\", \"input_queue\": \"in\"%s}";

static int parse_leased(const char *more, struct task_spec *spec, struct err *err)
{
	char text[512];
	(void)snprintf(text, sizeof(text), LEASED, more);
	return parse(text, spec, err);
}

static void test_task_spec_is_leased_where_there_is_an_input_queue(void **state)
{
	(void)state;
	struct task_spec spec;
	assert_int_equal(parse_leased("", &spec, NULL), 0);
	assert_int_equal(spec.delivery, DELIVERY_LEASED);
	assert_int_equal(spec.max_attempts, 3);
	assert_int_equal(spec.item_timeout_s, 0);
	assert_int_equal(spec.concurrency, 0);
	assert_int_equal(spec.network, TASK_NETWORK_NONE);
	assert_false(spec.pop_left || spec.require_result || spec.auto_finish);
	task_spec_done(&spec);
	assert_int_equal(parse_leased(", \"delivery\": \"direct\"", &spec, NULL), 0);
	assert_int_equal(spec.delivery, DELIVERY_DIRECT);
	task_spec_done(&spec);
	assert_int_equal(parse("{\"name\": \"n\", \"image\": \"i\"}", &spec, NULL), 0);
	assert_int_equal(spec.delivery, DELIVERY_DIRECT);
	task_spec_done(&spec);
}

static void test_task_spec_lease_fields_come_back_as_they_went(void **state)
{
	(void)state;
	struct task_spec spec;
	struct task_spec again;
	assert_int_equal(parse_leased(", \"network\": \"outbound\", \"pop\": \"left\", \"concurrency\": 1, \"max_attempts\": 7,"
				      " \"item_timeout\": 90, \"require_result\": true, \"auto_finish\": true,"
				      " \"auto_finish_after\": 5",
				      &spec, NULL), 0);
	json_t *object = task_spec_to_json(&spec, false);
	assert_int_equal(task_spec_parse(object, &again, NULL), 0);
	assert_int_equal(again.network, TASK_NETWORK_OUTBOUND);
	assert_true(again.pop_left && again.require_result && again.auto_finish);
	assert_int_equal(again.concurrency, 1);
	assert_int_equal(again.max_attempts, 7);
	assert_int_equal(again.item_timeout_s, 90);
	assert_int_equal(again.auto_finish_after_s, 5);
	json_decref(object);
	task_spec_done(&spec);
	task_spec_done(&again);
}

static void test_task_spec_lease_fields_are_bounded(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		", \"network\": \"host\"", ", \"pop\": \"both\"", ", \"concurrency\": 2", ", \"concurrency\": -1",
		", \"max_attempts\": 1001", ", \"item_timeout\": -1", ", \"item_timeout\": 2592001", ", \"require_result\": 1",
		", \"auto_finish\": \"yes\"", ", \"auto_finish_after\": 0",
		", \"output_queue\": \"in\"", ", \"output_queue\": \"i\", \"input_queue\": \"i:n\"",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct task_spec spec;
		struct err err = {0};
		if (parse_leased(BAD[i], &spec, &err) != ERR_INVALID)
			fail_msg("taken: %s", BAD[i]);
		assert_true(err.text[0]);
		task_spec_done(&spec);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task_spec_takes_every_field),
		cmocka_unit_test(test_task_spec_needs_a_name_and_something_to_run),
		cmocka_unit_test(test_task_spec_names_what_it_refuses),
		cmocka_unit_test(test_task_spec_lengths_are_bounded),
		cmocka_unit_test(test_task_spec_counts_are_bounded),
		cmocka_unit_test(test_task_spec_comes_back_as_it_went),
		cmocka_unit_test(test_task_spec_is_leased_where_there_is_an_input_queue),
		cmocka_unit_test(test_task_spec_lease_fields_come_back_as_they_went),
		cmocka_unit_test(test_task_spec_lease_fields_are_bounded),
		cmocka_unit_test(test_task_spec_masked_shows_no_password),
		cmocka_unit_test(test_task_spec_image_prefers_the_platforms_own),
		cmocka_unit_test(test_task_spec_without_memory_fails_cleanly),
	};
	return cmocka_run_group_tests_name("task_spec", tests, NULL, NULL);
}
