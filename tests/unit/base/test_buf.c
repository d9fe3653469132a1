/* Protects the promises of buffers: caps hold, a refusal changes nothing, text ends with a NUL. */
#include "base/buf.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static void test_buf_is_an_empty_text_at_first(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf.len, 0);
	char *stolen = buf_steal(&buf);
	assert_string_equal(stolen, "");
	free(stolen);
	buf_done(&buf);
}

static void test_buf_takes_exactly_its_cap(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_add(&buf, "0123456789", 10), 0);
	assert_string_equal(buf_text(&buf), "0123456789");
	assert_int_equal(buf_add(&buf, "", 0), 0);
	assert_int_equal(buf_add(&buf, "x", 1), ERR_TOO_BIG);
	assert_int_equal(buf_printf(&buf, "%d", 1), ERR_TOO_BIG);
	assert_string_equal(buf_text(&buf), "0123456789");
	assert_int_equal(buf.len, 10);
	buf_done(&buf);
}

static void test_buf_refuses_a_length_that_would_overflow(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	assert_int_equal(buf_add(&buf, "abc", 3), 0);
	assert_int_equal(buf_add(&buf, "abc", SIZE_MAX), ERR_TOO_BIG);
	assert_int_equal(buf_add(&buf, "abc", SIZE_MAX - 2), ERR_TOO_BIG);
	assert_string_equal(buf_text(&buf), "abc");
	buf_done(&buf);
}

static void test_buf_grows_over_many_additions(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100000);
	for (unsigned i = 0; i < 10000; i++)
		assert_int_equal(buf_printf(&buf, "%04u ", i), 0);
	assert_int_equal(buf.len, 50000);
	assert_memory_equal(buf.data + 5 * 1234, "1234 ", 5);
	assert_int_equal(strlen(buf_text(&buf)), 50000);
	buf_done(&buf);
}

static void test_buf_keeps_bytes_after_a_nul(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_add(&buf, "a\0b", 3), 0);
	assert_int_equal(buf.len, 3);
	assert_memory_equal(buf.data, "a\0b", 4);
	buf_done(&buf);
}

static void test_buf_consume_drops_the_front(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	assert_int_equal(buf_add(&buf, "hello", 5), 0);
	buf_consume(&buf, 0);
	buf_consume(&buf, 2);
	assert_string_equal(buf_text(&buf), "llo");
	buf_consume(&buf, 3);
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf.len, 0);
	assert_int_equal(buf_add(&buf, "0123456789", 10), 0);
	buf_done(&buf);
}

static void test_buf_clear_forgets_the_content(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10);
	buf_clear(&buf);
	assert_int_equal(buf_add(&buf, "hello", 5), 0);
	buf_clear(&buf);
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf_add(&buf, "0123456789", 10), 0);
	buf_done(&buf);
}

static void test_buf_can_be_used_again_after_a_theft(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 5);
	assert_int_equal(buf_add(&buf, "hello", 5), 0);
	char *stolen = buf_steal(&buf);
	assert_string_equal(stolen, "hello");
	assert_string_equal(buf_text(&buf), "");
	assert_int_equal(buf_add(&buf, "again", 5), 0);
	assert_int_equal(buf_add(&buf, "!", 1), ERR_TOO_BIG);
	assert_string_equal(stolen, "hello");
	free(stolen);
	buf_done(&buf);
}

static void test_buf_without_memory_stays_as_it_was(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 10000);
	assert_int_equal(buf_add(&buf, "hello", 5), 0);
	char big[5000];
	memset(big, 'x', sizeof(big));
	fault_arm(1);
	assert_int_equal(buf_add(&buf, big, sizeof(big)), ERR_NOMEM);
	assert_true(fault_disarm());
	assert_string_equal(buf_text(&buf), "hello");
	fault_arm(1);
	assert_int_equal(buf_printf(&buf, "%2000d", 1), ERR_NOMEM);
	assert_true(fault_disarm());
	assert_string_equal(buf_text(&buf), "hello");
	assert_int_equal(buf_add(&buf, big, sizeof(big)), 0);
	buf_done(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_buf_is_an_empty_text_at_first),
		cmocka_unit_test(test_buf_takes_exactly_its_cap),
		cmocka_unit_test(test_buf_refuses_a_length_that_would_overflow),
		cmocka_unit_test(test_buf_grows_over_many_additions),
		cmocka_unit_test(test_buf_keeps_bytes_after_a_nul),
		cmocka_unit_test(test_buf_consume_drops_the_front),
		cmocka_unit_test(test_buf_clear_forgets_the_content),
		cmocka_unit_test(test_buf_can_be_used_again_after_a_theft),
		cmocka_unit_test(test_buf_without_memory_stays_as_it_was),
	};
	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
