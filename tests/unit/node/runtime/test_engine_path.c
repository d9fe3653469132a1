/* Protects the addresses of Engine calls: nothing that a task or an engine names can leave its place in a path. */
#include "node/runtime/engine_api.h"

#include "support.h"

static void test_engine_query_escapes_values(void **state)
{
	(void)state;
	struct buf path;
	buf_init(&path, 256);
	assert_int_equal(buf_printf(&path, "/x"), 0);
	assert_int_equal(engine_query(&path, "a", "linux/arm/v7"), 0);
	assert_int_equal(engine_query(&path, "b", "1&c=2 {\"\xc3\xa9\"}#?%"), 0);
	assert_string_equal(buf_text(&path), "/x?a=linux%2Farm%2Fv7&b=1%26c%3D2%20%7B%22%C3%A9%22%7D%23%3F%25");
	buf_done(&path);
	buf_init(&path, 8);
	assert_int_equal(engine_query(&path, "name", "too long a value"), ERR_TOO_BIG);
	buf_done(&path);
}

static void test_engine_is_name_lets_nothing_out_of_a_path(void **state)
{
	(void)state;
	assert_true(engine_is_name("idm-task_1-abcd.0"));
	assert_true(engine_is_name("0123456789abcdef"));
	static const char *const BAD[] = {"", ".", "..", ".x", "a/b", "a?b", "a b", "a%20", "\xc3\xa9", "a\n"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_false(engine_is_name(BAD[i]));
	assert_false(engine_is_name(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_query_escapes_values),
		cmocka_unit_test(test_engine_is_name_lets_nothing_out_of_a_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
