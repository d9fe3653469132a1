/* Protects the reading of what a task wants: the words of the gateway's answer, and what stands for what is not said. */
#include "exec/work.h"

#include "support.h"

#include <string.h>

static void test_everything_is_read(void **state)
{
	(void)state;
	static const char TEXT[] = "{\"exec\": [\"awk\", \"{ print }\"], \"batch\": 100, \"max_result\": 5, \"result_format\": \"json\", "
				   "\"item_format\": \"numbered\", \"item_end\": \"nul\", \"item_timeout\": 2, "
				   "\"output_queue\": \"out\", \"of_later_versions\": 1}";
	struct work work;
	struct err err = {0};
	assert_int_equal(work_read(&work, TEXT, strlen(TEXT), &err), 0);
	assert_int_equal(work.template.words, 2);
	assert_int_equal(work.batch, 100);
	assert_int_equal(work.max_result, 5);
	assert_int_equal(work.result_format, RESULT_JSON);
	assert_int_equal(work.item_end, ITEM_END_NUL);
	assert_true(work.numbered);
	assert_true(work.item_timeout == 2);
	assert_string_equal(work.output_queue, "out");
	work_done(&work);
}

static void test_defaults(void **state)
{
	(void)state;
	static const char TEXT[] = "{\"exec\": [\"true\"], \"item_timeout\": null, \"output_queue\": null}";
	struct work work;
	assert_int_equal(work_read(&work, TEXT, strlen(TEXT), NULL), 0);
	assert_int_equal(work.batch, 1);
	assert_int_equal(work.max_result, 1048576);
	assert_int_equal(work.result_format, RESULT_PLAIN);
	assert_int_equal(work.item_end, ITEM_END_NEWLINE);
	assert_false(work.numbered);
	assert_true(work.item_timeout == 0);
	assert_null(work.output_queue);
	work_done(&work);
}

static void test_nonsense_is_refused(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"", "[]", "{}", "{\"exec\": []}", "{\"exec\": [1]}", "{\"exec\": \"true\"}", "{\"exec\": [\"a\\u0000b\"]}",
		"{\"exec\": [\"a\"], \"batch\": 0}", "{\"exec\": [\"a\"], \"batch\": 1001}",
		"{\"exec\": [\"a\"], \"max_result\": 8388609}", "{\"exec\": [\"a\"], \"result_format\": \"xml\"}",
		"{\"exec\": [\"a\"], \"item_format\": \"csv\"}", "{\"exec\": [\"a\"], \"item_end\": \"tab\"}",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct work work;
		struct err err = {0};
		assert_int_equal(work_read(&work, BAD[i], strlen(BAD[i]), &err), ERR_INVALID);
		assert_true(*err.text);
		work_done(&work);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_everything_is_read),
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_nonsense_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
