/* Protects the task's form between hub and node: the seed's six fields, what a node reads back, and when two are equal. */
#include "proto/task_config.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>

static void spec_of(const char *text, struct task_spec *spec)
{
	json_t *object = json_loads(text, 0, NULL);
	struct err err = {0};
	assert_non_null(object);
	if (task_spec_parse(object, spec, &err))
		fail_msg("%s", err.text);
	json_decref(object);
}

static const char FULL[] = "{\"name\": \"n\", \"image\": \"i:1\", \"images\": {\"linux/arm64\": \"i:arm\"},"
			   " \"input_redis\": \"redis://:pw@h\", \"input_queue\": \"in\", \"output_queue\": \"out\","
			   " \"delivery\": \"direct\", \"command\": [\"x\"], \"env\": {\"A\": \"1\"}, \"memory_mb\": 64, \"cpus\": 2}";

static void test_task_config_has_the_seeds_six_fields(void **state)
{
	(void)state;
	struct task_spec spec;
	spec_of("{\"name\": \"n\", \"image\": \"i\"}", &spec);
	json_t *object = task_config_encode(&spec, "id-1", "linux/amd64", false, spec.delivery);
	static const char *const SIX[] = {"task_name", "image", "input_redis", "output_redis", "input_queue", "output_queue"};
	for (size_t i = 0; i < 6; i++)
		assert_non_null(json_object_get(object, SIX[i]));
	assert_true(json_is_null(json_object_get(object, "input_redis")));
	assert_null(json_object_get(object, "command"));
	assert_null(json_object_get(object, "env"));
	assert_null(json_object_get(object, "memory_mb"));
	json_decref(object);
	task_spec_done(&spec);
}

static void test_task_config_round_trip(void **state)
{
	(void)state;
	struct task_spec spec;
	struct task_config config;
	spec_of(FULL, &spec);
	json_t *object = task_config_encode(&spec, "id-1", "linux/arm64", false, spec.delivery);
	/* A seed agent does not fill it in itself. */
	assert_string_equal(json_string_value(json_object_get(object, "output_redis")), "redis://:pw@h");
	assert_int_equal(task_config_parse(object, &config, NULL), 0);
	json_decref(object); /* the config holds what it needs */
	assert_string_equal(config.task_id, "id-1");
	assert_string_equal(config.task_name, "n");
	assert_string_equal(config.image, "i:arm");
	assert_string_equal(config.input_redis, "redis://:pw@h");
	assert_string_equal(config.output_redis, "redis://:pw@h"); /* the input's where the task names none */
	assert_string_equal(config.input_queue, "in");
	assert_string_equal(config.output_queue, "out");
	assert_int_equal(json_array_size(config.command), 1);
	assert_string_equal(json_string_value(json_object_get(config.env, "A")), "1");
	assert_int_equal(config.memory_mb, 64);
	assert_int_equal(config.cpus, 2);
	task_config_done(&config);
	task_spec_done(&spec);
}

static void test_task_config_is_null_without_an_image_for_the_platform(void **state)
{
	(void)state;
	struct task_spec spec;
	spec_of("{\"name\": \"n\", \"images\": {\"linux/arm64\": \"i\"}}", &spec);
	json_t *object = task_config_encode(&spec, "id-1", "linux/amd64", false, spec.delivery);
	assert_true(json_is_null(object));
	json_decref(object);
	task_spec_done(&spec);
}

static void test_task_config_with_a_command_alone_is_for_processes(void **state)
{
	(void)state;
	struct task_spec spec;
	spec_of("{\"name\": \"n\", \"command\": [\"run\"]}", &spec);
	json_t *object = task_config_encode(&spec, "id-1", "linux/amd64", false, spec.delivery);
	assert_true(json_is_null(object));
	json_decref(object);
	object = task_config_encode(&spec, "id-1", NULL, true, spec.delivery);
	assert_null(json_object_get(object, "image"));
	struct task_config config;
	assert_int_equal(task_config_parse(object, &config, NULL), 0);
	assert_null(config.image);
	assert_int_equal(json_array_size(config.command), 1);
	task_config_done(&config);
	json_decref(object);
	task_spec_done(&spec);

	spec_of("{\"name\": \"n\", \"images\": {\"linux/arm64\": \"i\"}}", &spec);
	object = task_config_encode(&spec, "id-1", "linux/amd64", true, spec.delivery);
	assert_true(json_is_null(object));
	json_decref(object);
	task_spec_done(&spec);
}

static void test_task_config_of_a_seed_hub_is_understood(void **state)
{
	(void)state;
	struct task_config config;
	json_t *object = json_loads("{\"task_name\": \"n\", \"image\": \"i\", \"input_redis\": \"redis://h\","
				    " \"output_redis\": null, \"input_queue\": \"a\", \"output_queue\": \"b\","
				    " \"something_new\": [1]}",
				    0, NULL);
	assert_int_equal(task_config_parse(object, &config, NULL), 0);
	assert_null(config.task_id);
	assert_string_equal(config.output_redis, "redis://h");
	assert_int_equal(config.cpus, 1);
	assert_int_equal(config.memory_mb, 0);
	json_decref(object);
	task_config_done(&config);
}

static void test_task_config_refuses_what_is_none(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"[]", "\"x\"", "{}", "{\"task_name\": \"n\"}", "{\"image\": \"i\"}", "{\"task_name\": 1, \"image\": \"i\"}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"env\": {\"A\": 1}}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"command\": \"x\"}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"cpus\": 0}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"memory_mb\": 0}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"memory_mb\": 99999999}",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct task_config config;
		struct err err = {0};
		json_t *object = json_loads(BAD[i], JSON_DECODE_ANY, NULL);
		if (task_config_parse(object, &config, &err) == 0)
			fail_msg("%s was taken", BAD[i]);
		assert_contains(err.text, "hub");
		task_config_done(&config);
		json_decref(object);
	}
}

static void test_task_config_equal_compares_every_field(void **state)
{
	(void)state;
	static const char *const OTHERS[] = {
		"{\"task_id\": \"2\", \"task_name\": \"n\", \"image\": \"i\"}",
		"{\"task_id\": \"1\", \"task_name\": \"m\", \"image\": \"i\"}",
		"{\"task_id\": \"1\", \"task_name\": \"n\", \"image\": \"j\"}",
		"{\"task_id\": \"1\", \"task_name\": \"n\", \"image\": \"i\", \"env\": {\"A\": \"1\"}}",
	};
	json_t *object = json_loads("{\"task_id\": \"1\", \"task_name\": \"n\", \"image\": \"i\"}", 0, NULL);
	json_t *copy = json_loads("{\"image\": \"i\", \"task_name\": \"n\", \"task_id\": \"1\"}", 0, NULL);
	struct task_config a;
	struct task_config b;
	assert_int_equal(task_config_parse(object, &a, NULL), 0);
	assert_int_equal(task_config_parse(copy, &b, NULL), 0);
	assert_true(task_config_equal(&a, &b));
	task_config_done(&b);
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++) {
		json_t *other = json_loads(OTHERS[i], 0, NULL);
		assert_int_equal(task_config_parse(other, &b, NULL), 0);
		assert_false(task_config_equal(&a, &b));
		task_config_done(&b);
		json_decref(other);
	}
	task_config_done(&a);
	json_decref(object);
	json_decref(copy);
}

static void test_task_config_without_memory_fails_cleanly(void **state)
{
	(void)state;
	struct task_spec spec;
	spec_of(FULL, &spec);
	unsigned n = 0;
	bool reached;
	do {
		fault_arm(++n);
		json_t *object = task_config_encode(&spec, "id-1", "linux/amd64", false, spec.delivery);
		reached = fault_disarm();
		assert_true(object || reached);
		json_decref(object);
	} while (reached);
	assert_true(n > 10);
	task_spec_done(&spec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_task_config_has_the_seeds_six_fields),
		cmocka_unit_test(test_task_config_round_trip),
		cmocka_unit_test(test_task_config_is_null_without_an_image_for_the_platform),
		cmocka_unit_test(test_task_config_with_a_command_alone_is_for_processes),
		cmocka_unit_test(test_task_config_of_a_seed_hub_is_understood),
		cmocka_unit_test(test_task_config_refuses_what_is_none),
		cmocka_unit_test(test_task_config_equal_compares_every_field),
		cmocka_unit_test(test_task_config_without_memory_fails_cleanly),
	};
	return cmocka_run_group_tests_name("task_config", tests, NULL, NULL);
}
