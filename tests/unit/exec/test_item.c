/* Protects the reading of numbered items. */
#include "exec/item.h"

#include "support.h"

#include <string.h>

static void expect(const char *payload, size_t len, int64_t seq, const char *rest, size_t rest_len)
{
	struct item item;
	struct err err = {0};
	assert_int_equal(item_init(&item, payload, len, true, &err), 0);
	assert_true(item.has_seq);
	assert_int_equal(item.seq, seq);
	assert_int_equal(item.len, rest_len);
	assert_memory_equal(item.bytes, rest, rest_len);
}

static void test_numbered_items_are_read(void **state)
{
	(void)state;
	expect("7\tabc", 5, 7, "abc", 3);
	expect("0\t", 2, 0, "", 0);
	expect("12\ta\tb\0", 7, 12, "a\tb\0", 4);
	expect("999999999999999999\tx", 20, 999999999999999999, "x", 1);
}

static void test_other_forms_are_refused(void **state)
{
	(void)state;
	static const char *const BAD[] = {"", "7", "\tx", "x\ty", "-1\tx", "+1\tx", " 1\tx", "1 \tx", "1.5\tx", "9999999999999999999\tx"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct item item;
		struct err err = {0};
		assert_int_equal(item_init(&item, BAD[i], strlen(BAD[i]), true, &err), ERR_INVALID);
		assert_contains(err.text, "numbered");
	}
}

static void test_plain_items_stay_whole(void **state)
{
	(void)state;
	struct item item;
	assert_int_equal(item_init(&item, "7\tabc", 5, false, NULL), 0);
	assert_false(item.has_seq);
	assert_int_equal(item.len, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbered_items_are_read),
		cmocka_unit_test(test_other_forms_are_refused),
		cmocka_unit_test(test_plain_items_stay_whole),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
