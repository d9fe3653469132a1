/* Protects texts in fixed fields: as much as fits, and never half a character. */
#include "base/text.h"

#include "support.h"

#include <string.h>

static void test_text_copy_takes_what_fits(void **state)
{
	(void)state;
	char field[6];
	text_copy(field, sizeof(field), "");
	assert_string_equal(field, "");
	text_copy(field, sizeof(field), "12345");
	assert_string_equal(field, "12345");
	text_copy(field, sizeof(field), "123456789");
	assert_string_equal(field, "12345");
	text_copy(field, 1, "12345");
	assert_string_equal(field, "");
}

static void test_text_copy_cuts_between_characters(void **state)
{
	(void)state;
	static const char TEXT[] = "\xe4\xb8\xad\xc3\xa9\xf0\x9f\x98\x80z"; /* 3 + 2 + 4 + 1 bytes */
	static const size_t EXPECTED[] = {0, 0, 0, 0, 3, 3, 5, 5, 5, 5, 9, 10, 10};
	for (size_t size = 1; size < sizeof(EXPECTED) / sizeof(EXPECTED[0]); size++) {
		char field[16];
		memset(field, '#', sizeof(field));
		text_copy(field, size, TEXT);
		assert_int_equal(strlen(field), EXPECTED[size]);
		assert_memory_equal(field, TEXT, EXPECTED[size]);
		assert_int_equal(field[size], '#'); /* nothing behind the field was touched */
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text_copy_takes_what_fits),
		cmocka_unit_test(test_text_copy_cuts_between_characters),
	};
	return cmocka_run_group_tests_name("text", tests, NULL, NULL);
}
