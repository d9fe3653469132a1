/* Protects the borders between pushed items: each form, whatever the pieces, any bytes, and what is refused. */
#include "proto/item_split.h"

#include "../support.h"

#include <string.h>

enum { ITEM_MAX = 20, SLACK = 100 };

/* All items of the text, each in angle brackets, fed `piece` bytes at a time; then the error's code, if there is one. */
static void assert_split(enum item_end end, const char *bytes, size_t len, size_t piece, const char *expected)
{
	struct item_split split;
	struct buf seen;
	struct err err = {0};
	int rc = 0;
	item_split_init(&split, end, ITEM_MAX, SLACK);
	buf_init(&seen, 10000);
	for (size_t at = 0; at <= len && !rc; at += piece) {
		const char *item;
		size_t item_len;
		size_t part = len - at < piece ? len - at : piece;
		assert_int_equal(item_split_feed(&split, bytes + at, part), 0);
		if (part < piece)
			item_split_end(&split);
		while (!(rc = item_split_next(&split, &item, &item_len, &err)) && item) {
			assert_int_equal(buf_add(&seen, "<", 1), 0);
			assert_int_equal(buf_add(&seen, item, item_len), 0);
			assert_int_equal(buf_add(&seen, ">", 1), 0);
		}
		if ((at / piece) % 2) /* dropped at times, so that some lie there together */
			item_split_drop(&split);
	}
	if (rc)
		assert_int_equal(buf_printf(&seen, "%s", rc == ERR_TOO_BIG ? "too big" : rc == ERR_PROTOCOL ? "no RESP" : "?"), 0);
	size_t expected_len = strlen(expected);
	if (seen.len != expected_len || memcmp(buf_text(&seen), expected, expected_len) != 0)
		fail_msg("in pieces of %zu: %s instead of %s", piece, buf_text(&seen), expected);
	buf_done(&seen);
	item_split_done(&split);
}

static void assert_split_anyhow(enum item_end end, const char *bytes, const char *expected)
{
	for (size_t piece = 1; piece < 60; piece++)
		assert_split(end, bytes, strlen(bytes), piece, expected);
}

static void test_item_split_lines(void **state)
{
	(void)state;
	assert_split_anyhow(ITEM_END_NEWLINE, "one\ntwo\n", "<one><two>");
	assert_split_anyhow(ITEM_END_NEWLINE, "one\ntwo", "<one><two>");
	assert_split_anyhow(ITEM_END_NEWLINE, "", "");
	assert_split_anyhow(ITEM_END_NEWLINE, "\n\na\r\n\n", "<><><a\r><>");
	assert_split_anyhow(ITEM_END_NEWLINE, "12345678901234567890\nb", "<12345678901234567890><b>");
	assert_split_anyhow(ITEM_END_NEWLINE, "a\n123456789012345678901\nb", "<a>too big");
	assert_split_anyhow(ITEM_END_NEWLINE, "a\n1234567890123456789012345678901234567890", "<a>too big");
}

static void test_item_split_nul_and_whole(void **state)
{
	(void)state;
	for (size_t piece = 1; piece < 12; piece++) {
		assert_split(ITEM_END_NUL, "a\nb\0c\0", 6, piece, "<a\nb><c>");
		assert_split(ITEM_END_NUL, "a\0b", 3, piece, "<a><b>");
	}
	assert_split_anyhow(ITEM_END_NONE, "a\nb\n", "<a\nb\n>");
	assert_split_anyhow(ITEM_END_NONE, "", "");
	assert_split_anyhow(ITEM_END_NONE, "123456789012345678901", "too big");
}

static void test_item_split_resp(void **state)
{
	(void)state;
	assert_split_anyhow(ITEM_END_RESP, "$3\r\none\r\n$0\r\n\r\n$5\r\na\r\nb\n\r\n", "<one><><a\r\nb\n>");
	assert_split_anyhow(ITEM_END_RESP, "", "");
	assert_split_anyhow(ITEM_END_RESP, "$20\r\n12345678901234567890\r\n", "<12345678901234567890>");
}

static void test_item_split_refuses_what_is_no_resp(void **state)
{
	(void)state;
	static const char *const BAD[] = {"$1\r\na\r\nx",	 "$1\r\na\r\n$2\r\nb\r\n", "$1\r\na\r\n$1\r\nbc\r\n", "$1\r\na\r\n$-1\r\n",
					  "$1\r\na\r\n$\r\n\r\n", "$1\r\na\r\n$1x\r\nb\r\n", "$1\r\na\r\n$1\n\nb\r\n",
					  "$1\r\na\r\n$2\r\nb",   "$1\r\na\r\n$1",	   "$1\r\na\r\n$00000000000000000001\r\nb\r\n"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_split_anyhow(ITEM_END_RESP, BAD[i], "<a>no RESP");
	/* Known from the announcement. */
	assert_split_anyhow(ITEM_END_RESP, "$1\r\na\r\n$21", "<a>too big");
	assert_split_anyhow(ITEM_END_RESP, "$1\r\na\r\n$99999999999999999999999\r\n", "<a>too big");
}

static void test_item_split_keeps_to_its_cap(void **state)
{
	(void)state;
	struct item_split split;
	char bytes[ITEM_MAX + SLACK + 100] = {0};
	memset(bytes, 'x', sizeof(bytes) - 1);
	item_split_init(&split, ITEM_END_NEWLINE, ITEM_MAX, SLACK);
	assert_int_equal(item_split_feed(&split, bytes, ITEM_MAX + SLACK), 0);
	assert_int_equal(item_split_feed(&split, bytes, 100), ERR_TOO_BIG);
	item_split_done(&split);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_item_split_lines),
		cmocka_unit_test(test_item_split_nul_and_whole),
		cmocka_unit_test(test_item_split_resp),
		cmocka_unit_test(test_item_split_refuses_what_is_no_resp),
		cmocka_unit_test(test_item_split_keeps_to_its_cap),
	};
	return cmocka_run_group_tests_name("item_split", tests, NULL, NULL);
}
