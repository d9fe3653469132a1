/* Protects what people see of a failed worker: the end of its log, whole lines, valid text, never more than the
 * maximum. */
#include "node/runtime/log_tail.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static size_t add_frame(char *out, size_t at, int stream, const char *text)
{
	size_t len = strlen(text);
	const char header[8] = {(char)stream, 0, 0, 0, 0, 0, (char)(len >> 8), (char)len};
	memcpy(out + at, header, sizeof(header));
	memcpy(out + at + sizeof(header), text, len);
	return at + sizeof(header) + len;
}

static void test_log_tail_joins_frames_however_they_are_cut(void **state)
{
	(void)state;
	char frames[256];
	size_t len = add_frame(frames, 0, 1, "out\n");
	len = add_frame(frames, len, 2, "");
	len = add_frame(frames, len, 2, "err\n");
	for (size_t part = 1; part <= len; part++) {
		struct log_tail tail;
		log_tail_init(&tail, 100, false);
		for (size_t at = 0; at < len; at += part)
			assert_int_equal(log_tail_feed(&tail, frames + at, len - at < part ? len - at : part), 0);
		assert_string_equal(log_tail_text(&tail), "out\nerr\n");
		log_tail_done(&tail);
	}
}

static void test_log_tail_refuses_a_header_that_is_none(void **state)
{
	(void)state;
	static const char *const HEADERS[] = {"\3\0\0\0\0\0\0\1", "\1\0\1\0\0\0\0\1", "plain text"};
	for (size_t i = 0; i < sizeof(HEADERS) / sizeof(HEADERS[0]); i++) {
		struct log_tail tail;
		log_tail_init(&tail, 100, false);
		assert_int_equal(log_tail_feed(&tail, HEADERS[i], 8), ERR_PROTOCOL);
		log_tail_done(&tail);
	}
}

static void test_log_tail_keeps_the_last_whole_lines(void **state)
{
	(void)state;
	struct log_tail tail;
	log_tail_init(&tail, 20, true);
	for (int i = 0; i < 1000; i++) {
		char line[32];
		(void)snprintf(line, sizeof(line), "line %d\n", i);
		assert_int_equal(log_tail_feed(&tail, line, strlen(line)), 0);
		assert_true(tail.text.len <= 40);
	}
	assert_string_equal(log_tail_text(&tail), "line 998\nline 999\n");
	log_tail_done(&tail);
}

static void test_log_tail_keeps_the_end_of_one_long_line(void **state)
{
	(void)state;
	struct log_tail tail;
	char text[100];
	log_tail_init(&tail, 10, true);
	memset(text, 'x', sizeof(text));
	memcpy(text + 90, "012345678\n", 10);
	assert_int_equal(log_tail_feed(&tail, text, sizeof(text)), 0);
	assert_string_equal(log_tail_text(&tail), "012345678\n");
	assert_int_equal(log_tail_feed(&tail, "ab", 2), 0);
	assert_string_equal(log_tail_text(&tail), "ab"); /* from the start of a line, where one is in sight */
	log_tail_done(&tail);
}

static void test_log_tail_is_always_valid_text(void **state)
{
	(void)state;
	static const struct {
		const char *bytes, *text;
	} CASES[] = {
		{"a\tb\n", "a\tb\n"},
		{"\x1b[31mred\r\x7f", "?[31mred??"},
		{"caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe4\xbd\xa0 \xf0\x9f\x98\x80"},
		{"\xc3", "?"},                      /* cut */
		{"\xc0\xaf \xe0\x80\xaf", "?? ???"}, /* overlong */
		{"\xed\xa0\x80", "???"},            /* a surrogate */
		{"\xf4\x90\x80\x80", "????"},       /* beyond Unicode */
		{"\xff\xfe", "??"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct log_tail tail;
		log_tail_init(&tail, 100, true);
		assert_int_equal(log_tail_feed(&tail, CASES[i].bytes, strlen(CASES[i].bytes)), 0);
		assert_string_equal(log_tail_text(&tail), CASES[i].text);
		log_tail_done(&tail);
	}
	struct log_tail tail;
	log_tail_init(&tail, 100, true);
	assert_int_equal(log_tail_feed(&tail, "a\0b", 3), 0);
	assert_string_equal(log_tail_text(&tail), "a?b");
	log_tail_done(&tail);
}

static void test_log_tail_is_empty_without_a_log(void **state)
{
	(void)state;
	struct log_tail tail;
	log_tail_init(&tail, 100, false);
	assert_string_equal(log_tail_text(&tail), "");
	log_tail_done(&tail);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_log_tail_joins_frames_however_they_are_cut),
		cmocka_unit_test(test_log_tail_refuses_a_header_that_is_none),
		cmocka_unit_test(test_log_tail_keeps_the_last_whole_lines),
		cmocka_unit_test(test_log_tail_keeps_the_end_of_one_long_line),
		cmocka_unit_test(test_log_tail_is_always_valid_text),
		cmocka_unit_test(test_log_tail_is_empty_without_a_log),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
