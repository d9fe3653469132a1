/* Protects the fields of tasks with exec: defaults, what is refused and how that is said, what a placeholder is, and that they
 * come back as they went, at the hub and at the node. */
#include "proto/exec_spec.h"

#include "fault.h"
#include "proto/limits.h"
#include "proto/task_config.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int parse(const char *more, struct task_spec *spec, struct err *err)
{
	char text[1024];
	(void)snprintf(text, sizeof(text),
		       "{\"name\": \"n\", \"image\": \"i\", \"input_queue\": \"in\", \"output_queue\": \"out\"%s}", more);
	json_t *object = json_loads(text, 0, NULL);
	if (!object)
		fail_msg("%s", text);
	int rc = task_spec_parse(object, spec, err);
	json_decref(object);
	return rc;
}

static void test_exec_spec_has_defaults(void **state)
{
	(void)state;
	struct task_spec spec;
	struct err err = {0};
	if (parse(", \"exec\": [\"./simulate\", \"--params\", \"{}\"]", &spec, &err))
		fail_msg("%s", err.text);
	assert_int_equal(json_array_size(spec.exec.command), 3);
	assert_int_equal(spec.exec.batch, 1);
	assert_int_equal(spec.exec.max_result, 1048576);
	assert_int_equal(spec.exec.result_format, EXEC_RESULT_PLAIN);
	assert_int_equal(spec.exec.item_end, EXEC_ITEM_END_NEWLINE);
	assert_false(spec.exec.numbered);
	task_spec_done(&spec);

	assert_int_equal(parse("", &spec, &err), 0);
	assert_null(spec.exec.command);
	json_t *object = task_spec_to_json(&spec, true);
	assert_null(json_object_get(object, "exec"));
	assert_null(json_object_get(object, "batch"));
	json_decref(object);
	task_spec_done(&spec);
}

static void test_exec_spec_takes_the_place_of_an_image_in_process_nodes(void **state)
{
	(void)state;
	struct task_spec spec;
	json_t *object = json_pack("{s:s, s:[s], s:s, s:s}", "name", "n", "exec", "true", "input_queue", "in", "output_queue", "out");
	assert_int_equal(task_spec_parse(object, &spec, NULL), 0);
	json_decref(object);
	object = task_config_encode(&spec, "id", NULL, true, DELIVERY_LEASED);
	assert_true(json_is_object(object));
	json_decref(object);
	object = task_config_encode(&spec, "id", "linux/amd64", false, DELIVERY_LEASED);
	assert_true(json_is_null(object));
	json_decref(object);
	task_spec_done(&spec);
}

static void test_exec_spec_names_what_it_refuses(void **state)
{
	(void)state;
	static const struct {
		const char *more, *text;
	} CASES[] = {
		{", \"exec\": []", "field \"exec\" must have 1 to 256 strings"},
		{", \"exec\": [\"\"]", "field \"exec\" must have 1 to 256 strings, the first one not empty"},
		{", \"exec\": \"x\"", "field \"exec\" must be an array of strings"},
		{", \"exec\": [\"x\"], \"command\": [\"y\"]", "\"exec\" and \"command\" exclude each other"},
		{", \"exec\": [\"x\"], \"delivery\": \"direct\"", "field \"exec\" needs leased delivery"},
		{", \"exec\": [\"x\"], \"output_queue\": null", "field \"exec\" needs an \"output_queue\""},
		{", \"exec\": [\"x\"], \"batch\": 0", "field \"batch\" must be from 1 to 1000"},
		{", \"exec\": [\"x\"], \"batch\": 1001", "field \"batch\" must be from 1 to 1000"},
		{", \"exec\": [\"x\"], \"max_result\": 0", "field \"max_result\" must be from 1 to 8388608"},
		{", \"exec\": [\"x\"], \"max_result\": 8388609", "field \"max_result\" must be from 1 to 8388608"},
		{", \"exec\": [\"x\"], \"result_format\": \"xml\"", "field \"result_format\" must be \"plain\", \"tag\" or \"json\""},
		{", \"exec\": [\"x\"], \"item_format\": \"csv\"", "field \"item_format\" must be \"plain\" or \"numbered\""},
		{", \"exec\": [\"x\"], \"item_end\": \"cr\"", "field \"item_end\" must be \"newline\", \"nul\" or \"none\""},
		{", \"exec\": [\"x\"], \"item_end\": \"none\", \"batch\": 2", "field \"item_end\" must not be \"none\""},
		{", \"exec\": [\"x\", \"a{/.}b\"], \"batch\": 2", "field \"exec\" must not have placeholders"},
		{", \"exec\": [\"x\", \"{#}\"], \"batch\": 2, \"item_format\": \"numbered\"", "field \"exec\" must not have placeholders"},
		{", \"exec\": [\"x\", \"{#}\"]", "{#}, which needs \"item_format\": \"numbered\""},
		{", \"batch\": 2", "field \"batch\" needs the field \"exec\""},
		{", \"max_result\": 2", "field \"max_result\" needs the field \"exec\""},
		{", \"result_format\": \"plain\"", "field \"result_format\" needs the field \"exec\""},
		{", \"item_format\": \"plain\"", "field \"item_format\" needs the field \"exec\""},
		{", \"item_end\": \"nul\"", "field \"item_end\" needs the field \"exec\""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct task_spec spec;
		struct err err = {0};
		char more[512];
		/* A second output_queue would be a duplicate: that case has its own body. */
		if (strstr(CASES[i].more, "output_queue")) {
			json_t *object = json_pack("{s:s, s:s, s:s, s:[s]}", "name", "n", "image", "i", "input_queue", "in", "exec", "x");
			assert_int_equal(task_spec_parse(object, &spec, &err), ERR_INVALID);
			json_decref(object);
		} else {
			(void)snprintf(more, sizeof(more), "%s", CASES[i].more);
			if (parse(more, &spec, &err) != ERR_INVALID)
				fail_msg("%s was taken", more);
		}
		assert_contains(err.text, CASES[i].text);
		task_spec_done(&spec);
	}
}

static void test_exec_spec_arguments_are_bounded(void **state)
{
	(void)state;
	for (size_t over = 0; over < 2; over++) {
		struct task_spec spec;
		struct err err = {0};
		char *text = calloc(1, LIMIT_ARGUMENT + 2);
		memset(text, 'x', LIMIT_ARGUMENT + over);
		json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:[s, s]}", "name", "n", "image", "i", "input_queue", "in",
					   "output_queue", "out", "exec", "x", text);
		assert_int_equal(task_spec_parse(object, &spec, &err), over ? ERR_INVALID : 0);
		task_spec_done(&spec);
		json_decref(object);
		free(text);
	}
}

static void test_exec_spec_knows_its_placeholders(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		bool item, number;
	} CASES[] = {
		{"{}", true, false},	  {"a{.}b", true, false},   {"{/}", true, false},	  {"{//}", true, false},
		{"--x={/.}", true, false}, {"{1}", true, false},     {"{9}", true, false},	  {"{#}", false, true},
		{"{#}{}", true, true},	  {"{0}", false, false},    {"{10}", false, false},	  {"{ }", false, false},
		{"{{}", true, false},	  {"{printf \"%d\", $1}", false, false}, {"{", false, false}, {"}{", false, false},
		{"{./}", false, false},	  {"", false, false},	    {"{-1}", false, false},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		json_t *command = json_pack("[s, s]", "x", CASES[i].word);
		struct exec_placeholders found = exec_spec_placeholders(command);
		if (found.item != CASES[i].item || found.number != CASES[i].number)
			fail_msg("%s: item %d, number %d", CASES[i].word, found.item, found.number);
		json_decref(command);
	}
}

static const char FULL[] = ", \"exec\": [\"awk\", \"{print $1 * $1}\"], \"batch\": 1000, \"max_result\": 8388608,"
			   " \"result_format\": \"json\", \"item_format\": \"numbered\", \"item_end\": \"nul\", \"item_timeout\": 9";

static void test_exec_spec_comes_back_as_it_went(void **state)
{
	(void)state;
	struct task_spec spec;
	struct task_spec again;
	struct err err = {0};
	if (parse(FULL, &spec, &err))
		fail_msg("%s", err.text);
	json_t *object = task_spec_to_json(&spec, false);
	assert_int_equal(task_spec_parse(object, &again, NULL), 0);
	json_t *object_again = task_spec_to_json(&again, false);
	assert_true(json_equal(object, object_again));
	assert_int_equal(again.exec.batch, 1000);
	assert_int_equal(again.exec.max_result, 8388608);
	assert_int_equal(again.exec.result_format, EXEC_RESULT_JSON);
	assert_int_equal(again.exec.item_end, EXEC_ITEM_END_NUL);
	assert_true(again.exec.numbered);
	json_decref(object);
	json_decref(object_again);
	task_spec_done(&again);
	task_spec_done(&spec);
}

static void test_exec_spec_reaches_the_node(void **state)
{
	(void)state;
	struct task_spec spec;
	struct task_config config;
	assert_int_equal(parse(FULL, &spec, NULL), 0);
	json_t *object = task_config_encode(&spec, "id-1", "linux/amd64", false, DELIVERY_LEASED);
	assert_int_equal(task_config_parse(object, &config, NULL), 0);
	json_decref(object);
	assert_null(config.command);
	assert_string_equal(json_string_value(json_array_get(config.exec.command, 0)), "awk");
	assert_int_equal(config.exec.batch, 1000);
	assert_int_equal(config.exec.result_format, EXEC_RESULT_JSON);
	assert_int_equal(config.item_timeout_s, 9);
	task_config_done(&config);
	/* Who knows no leases cannot run it. */
	object = task_config_encode(&spec, "id-1", "linux/amd64", false, DELIVERY_DIRECT);
	assert_true(json_is_null(object));
	json_decref(object);
	task_spec_done(&spec);
}

static void test_exec_spec_of_a_confused_hub_is_refused(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"{\"task_name\": \"n\", \"image\": \"i\", \"exec\": []}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"exec\": [\"x\"]}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"task_id\": \"t\", \"delivery\": \"leased\", \"input_queue\": \"q\","
		" \"exec\": [\"x\"], \"command\": [\"y\"]}",
		"{\"task_name\": \"n\", \"image\": \"i\", \"task_id\": \"t\", \"delivery\": \"leased\", \"input_queue\": \"q\","
		" \"exec\": [\"x\"], \"result_format\": \"new\"}",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct task_config config;
		struct err err = {0};
		json_t *object = json_loads(BAD[i], 0, NULL);
		if (task_config_parse(object, &config, &err) == 0)
			fail_msg("%s was taken", BAD[i]);
		assert_contains(err.text, "hub");
		task_config_done(&config);
		json_decref(object);
	}
}

static void test_exec_spec_without_memory_fails_cleanly(void **state)
{
	(void)state;
	struct task_spec spec;
	assert_int_equal(parse(FULL, &spec, NULL), 0);
	unsigned n = 0;
	bool reached;
	do {
		fault_arm(++n);
		json_t *object = task_config_encode(&spec, "id-1", "linux/amd64", false, DELIVERY_LEASED);
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
		cmocka_unit_test(test_exec_spec_has_defaults),
		cmocka_unit_test(test_exec_spec_takes_the_place_of_an_image_in_process_nodes),
		cmocka_unit_test(test_exec_spec_names_what_it_refuses),
		cmocka_unit_test(test_exec_spec_arguments_are_bounded),
		cmocka_unit_test(test_exec_spec_knows_its_placeholders),
		cmocka_unit_test(test_exec_spec_comes_back_as_it_went),
		cmocka_unit_test(test_exec_spec_reaches_the_node),
		cmocka_unit_test(test_exec_spec_of_a_confused_hub_is_refused),
		cmocka_unit_test(test_exec_spec_without_memory_fails_cleanly),
	};
	return cmocka_run_group_tests_name("exec_spec", tests, NULL, NULL);
}
