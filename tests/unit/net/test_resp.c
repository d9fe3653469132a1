/* Protects everybody who reads RESP2: messages arrive whole however their bytes were cut, and what is too big, too deep or
 * not RESP2 is refused at its announcement. */
#include "net/resp.h"

#include "../fault.h"
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct resp_limits SMALL = {
	.max_depth = 2,
	.max_elements = 4,
	.max_values = 8,
	.max_bulk = 10,
	.max_line = 32,
	.max_message = 64,
	.max_pipelined = 64,
};

static const struct resp_limits SMALL_REQUESTS = {
	.requests_only = true,
	.max_depth = 1,
	.max_elements = 4,
	.max_values = 5,
	.max_bulk = 10,
	.max_line = 32,
	.max_message = 64,
	.max_pipelined = 64,
};

/* ---- a value as text: what it was on the wire ---- */

static void print_value(struct buf *into, const struct resp_value *value)
{
	int rc = 0;
	switch (value->type) {
	case RESP_NIL: rc = resp_add_nil(into); break;
	case RESP_STATUS: rc = resp_add_status(into, value->text); break;
	case RESP_ERROR: rc = resp_add_error(into, value->text); break;
	case RESP_INTEGER: rc = resp_add_integer(into, value->integer); break;
	case RESP_BULK: rc = resp_add_bulk(into, value->text, value->len); break;
	case RESP_ARRAY:
		rc = resp_add_array(into, value->count);
		for (size_t i = 0; i < value->count; i++)
			print_value(into, &value->elements[i]);
		break;
	}
	assert_int_equal(rc, 0);
}

/* Reads all bytes in pieces, and writes what was understood into out. Returns the first error. */
static int read_in_pieces(const struct resp_limits *limits, const char *bytes, size_t len, size_t piece, struct buf *out,
			  struct err *err)
{
	struct resp_reader *reader = resp_reader_new(limits);
	assert_non_null(reader);
	int rc = 0;
	for (size_t at = 0; at < len && !rc; at += piece) {
		/* A copy of its own size, so that reading past its end is seen. */
		size_t part = len - at < piece ? len - at : piece;
		char *copy = malloc(part);
		assert_non_null(copy);
		memcpy(copy, bytes + at, part);
		rc = resp_reader_feed(reader, copy, part, err);
		free(copy);
		const struct resp_value *value = NULL;
		while (!rc && !(rc = resp_reader_next(reader, &value, err)) && value)
			print_value(out, value);
	}
	resp_reader_free(reader);
	return rc;
}

static int error_of(const struct resp_limits *limits, const char *text, struct err *err)
{
	struct buf out;
	buf_init(&out, SIZE_MAX / 2);
	*err = (struct err){0};
	int rc = read_in_pieces(limits, text, strlen(text), strlen(text), &out, err);
	struct err again = {0};
	int rc_again = read_in_pieces(limits, text, strlen(text), 1, &out, &again);
	assert_int_equal(rc, rc_again);
	assert_string_equal(err->text, again.text);
	buf_done(&out);
	return rc;
}

/* ---- reading ---- */

static void test_resp_reads_every_kind_of_value_however_it_is_cut(void **state)
{
	(void)state;
	static const char WIRE[] = "+OK\r\n-ERR no\r\n:-9223372036854775808\r\n:9223372036854775807\r\n:0\r\n$0\r\n\r\n"
				   "$5\r\na\0b\r\n\r\n$-1\r\n*0\r\n*3\r\n:1\r\n*2\r\n$1\r\nx\r\n*1\r\n+deep\r\n$2\r\nyy\r\n"
				   "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n:7\r\n+\r\n";
	for (size_t piece = 1; piece <= sizeof(WIRE); piece++) {
		struct buf out;
		struct err err = {0};
		buf_init(&out, 4096);
		assert_int_equal(read_in_pieces(&RESP_LIMITS_REPLIES, WIRE, sizeof(WIRE) - 1, piece, &out, &err), 0);
		assert_int_equal(out.len, sizeof(WIRE) - 1);
		assert_memory_equal(out.data, WIRE, out.len);
		buf_done(&out);
	}
}

static void test_resp_gives_texts_with_a_nul_behind_and_nil_for_nil_arrays(void **state)
{
	(void)state;
	struct resp_reader *reader = resp_reader_new(&RESP_LIMITS_REPLIES);
	const struct resp_value *value = NULL;
	static const char WIRE[] = "*4\r\n$3\r\nabc\r\n*-1\r\n:42\r\n-MOVED 1 h:1\r\n";
	assert_int_equal(resp_reader_feed(reader, WIRE, sizeof(WIRE) - 1, NULL), 0);
	assert_int_equal(resp_reader_next(reader, &value, NULL), 0);
	assert_non_null(value);
	assert_int_equal(value->type, RESP_ARRAY);
	assert_int_equal(value->count, 4);
	assert_string_equal(value->elements[0].text, "abc");
	assert_true(resp_is(&value->elements[0], "abc"));
	assert_false(resp_is(&value->elements[0], "ABC"));
	assert_true(resp_is_nocase(&value->elements[0], "ABC"));
	assert_false(resp_is_nocase(&value->elements[0], "AB"));
	assert_int_equal(value->elements[1].type, RESP_NIL);
	assert_int_equal(value->elements[2].integer, 42);
	assert_string_equal(value->elements[2].text, "");
	assert_string_equal(value->elements[3].text, "MOVED 1 h:1");
	assert_int_equal(resp_reader_buffered(reader), 0);
	assert_int_equal(resp_reader_next(reader, &value, NULL), 0);
	assert_null(value);
	resp_reader_free(reader);
}

static void test_resp_a_taken_message_outlives_its_reader(void **state)
{
	(void)state;
	struct resp_reader *reader = resp_reader_new(&RESP_LIMITS_REPLIES);
	const struct resp_value *value = NULL;
	static const char WIRE[] = "*2\r\n$5\r\nfirst\r\n:1\r\n+second\r\n";
	assert_null(resp_reader_take(reader));
	assert_int_equal(resp_reader_feed(reader, WIRE, sizeof(WIRE) - 1, NULL), 0);
	assert_int_equal(resp_reader_next(reader, &value, NULL), 0);
	struct resp_message *first = resp_reader_take(reader);
	assert_non_null(first);
	assert_ptr_equal(first->value, value);
	assert_true(first->size >= 2 * sizeof(struct resp_value) + 6);
	assert_null(resp_reader_take(reader));
	assert_int_equal(resp_reader_next(reader, &value, NULL), 0);
	assert_true(resp_is(value, "second"));
	resp_reader_free(reader);
	assert_true(resp_is(&first->value->elements[0], "first"));
	resp_message_free(first);
	resp_message_free(NULL);
}

static void test_resp_reads_large_messages_and_gives_their_memory_back(void **state)
{
	(void)state;
	enum { LARGE = 3 * 1024 * 1024 };
	struct buf wire;
	buf_init(&wire, SIZE_MAX / 2);
	char *bytes = malloc(LARGE);
	assert_non_null(bytes);
	memset(bytes, 'z', LARGE);
	struct resp_reader *reader = resp_reader_new(&RESP_LIMITS_REQUESTS);
	for (int i = 0; i < 3; i++) {
		buf_clear(&wire);
		assert_int_equal(resp_add_command(&wire, 2, (const char *[]){"LPUSH", bytes}, (size_t[]){5, LARGE}), 0);
		const struct resp_value *value = NULL;
		for (size_t at = 0; at < wire.len; at += 65536) {
			assert_null(value);
			size_t part = wire.len - at < 65536 ? wire.len - at : 65536;
			assert_int_equal(resp_reader_feed(reader, wire.data + at, part, NULL), 0);
			assert_int_equal(resp_reader_next(reader, &value, NULL), 0);
		}
		assert_non_null(value);
		assert_int_equal(value->elements[1].len, LARGE);
		assert_memory_equal(value->elements[1].text, bytes, LARGE);
	}
	resp_reader_free(reader);
	buf_done(&wire);
	free(bytes);
}

/* ---- refusing ---- */

static void test_resp_refuses_what_is_no_resp2(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"PING\r\n",     "\r\n",       "_\r\n",        "#t\r\n",       ",1.5\r\n",      "%1\r\n+a\r\n+b\r\n",
		":\r\n",        ":+1\r\n",    ":1 \r\n",      ":1.0\r\n",     ":0x1\r\n",      ":9223372036854775808\r\n",
		"$-2\r\n",      "$1\r\nab\r", "$1\r\nabc\r\n", "$+1\r\na\r\n", "$ 1\r\na\r\n",  "*-2\r\n",
		"*1\rx",        "+a\rb\r\n",  "*2\r\n:1\r\nsecret\r\n", "$\r\n", "*\r\n", ":-\r\n", ":--1\r\n",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct err err;
		if (error_of(&SMALL, BAD[i], &err) != ERR_PROTOCOL)
			fail_msg("%zu: %s gave %d %s", i, BAD[i], err.code, err.text);
		assert_lacks(err.text, "secret");
	}
}

static void test_resp_refuses_what_is_too_big_when_it_is_announced(void **state)
{
	(void)state;
	static const char *const BIG[] = {
		"$11\r\n",
		"$9999999999\r\n",
		"$9223372036854775807\r\n",
		"*5\r\n",
		"*2147483647\r\n",
		"*1\r\n*1\r\n*1\r\n",                     /* depth */
		"*4\r\n*4\r\n:1\r\n:1\r\n:1\r\n:1\r\n*4\r\n", /* values */
		"+123456789012345678901234567890123",     /* a line without an end */
		":1234567890123456789012345",
		"$1234567890123456789012345",
		"*4\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n0123456789\r\n$10\r\n", /* the message */
	};
	for (size_t i = 0; i < sizeof(BIG) / sizeof(BIG[0]); i++) {
		struct err err;
		if (error_of(&SMALL, BIG[i], &err) != ERR_TOO_BIG)
			fail_msg("%zu: %s gave %d %s", i, BIG[i], err.code, err.text);
	}
}

static void test_resp_takes_what_is_just_within_the_limits(void **state)
{
	(void)state;
	static const char *const GOOD[] = {
		"$10\r\n0123456789\r\n",
		"*4\r\n:1\r\n:2\r\n:3\r\n:4\r\n",
		"*2\r\n*2\r\n:1\r\n:2\r\n*2\r\n:3\r\n:4\r\n",
		"+1234567890123456789012345678901\r\n",
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct buf out;
		struct err err = {0};
		buf_init(&out, 4096);
		if (read_in_pieces(&SMALL, GOOD[i], strlen(GOOD[i]), 1, &out, &err))
			fail_msg("%zu: %s", i, err.text);
		assert_string_equal(buf_text(&out), GOOD[i]);
		buf_done(&out);
	}
}

static void test_resp_takes_only_arrays_of_bulk_strings_from_workers(void **state)
{
	(void)state;
	struct err err;
	assert_int_equal(error_of(&SMALL_REQUESTS, "PING\r\n", &err), ERR_PROTOCOL);
	assert_contains(err.text, "inline commands");
	static const char *const BAD[] = {"+OK\r\n",           "$4\r\nPING\r\n",  ":1\r\n",  "*1\r\n:1\r\n", "*1\r\n+PING\r\n",
					  "*1\r\n*1\r\n$1\r\n", "*1\r\n$-1\r\n", "*-1\r\n", "GET / HTTP/1.1\r\n"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++)
		assert_int_equal(error_of(&SMALL_REQUESTS, BAD[i], &err), ERR_PROTOCOL);

	struct buf out;
	buf_init(&out, 4096);
	static const char GOOD[] = "*1\r\n$4\r\nPING\r\n*0\r\n*2\r\n$4\r\nLLEN\r\n$0\r\n\r\n";
	assert_int_equal(read_in_pieces(&SMALL_REQUESTS, GOOD, sizeof(GOOD) - 1, 3, &out, &err), 0);
	assert_string_equal(buf_text(&out), GOOD);
	buf_done(&out);
}

static void test_resp_an_error_stays(void **state)
{
	(void)state;
	struct resp_reader *reader = resp_reader_new(&SMALL);
	const struct resp_value *value = NULL;
	struct err err = {0};
	assert_int_equal(resp_reader_feed(reader, "+OK\r\n?\r\n", 8, NULL), 0);
	assert_int_equal(resp_reader_next(reader, &value, NULL), 0);
	assert_non_null(value);
	assert_int_equal(resp_reader_next(reader, &value, &err), ERR_PROTOCOL);
	assert_null(value);
	assert_int_equal(resp_reader_next(reader, &value, &err), ERR_PROTOCOL);
	assert_int_equal(resp_reader_feed(reader, "+OK\r\n", 5, &err), ERR_PROTOCOL);
	resp_reader_free(reader);
	resp_reader_free(NULL);
}

static void test_resp_buffers_no_more_than_its_limits(void **state)
{
	(void)state;
	struct resp_reader *reader = resp_reader_new(&SMALL);
	int rc = 0;
	size_t fed = 0;
	for (; !rc && fed < 1000; fed += 5)
		rc = resp_reader_feed(reader, "+abc\n", 5, NULL); /* nobody takes messages out */
	assert_int_equal(rc, ERR_TOO_BIG);
	assert_in_range(resp_reader_buffered(reader), 120, 128);
	resp_reader_free(reader);
}

static void test_resp_survives_any_failing_allocation(void **state)
{
	(void)state;
	static const char WIRE[] = "*2\r\n$5\r\nfirst\r\n:1\r\n";
	for (unsigned nth = 1;; nth++) {
		fault_arm(nth);
		struct resp_reader *reader = resp_reader_new(&RESP_LIMITS_REPLIES);
		const struct resp_value *value = NULL;
		struct err err = {0};
		int rc = reader ? resp_reader_feed(reader, WIRE, sizeof(WIRE) - 1, &err) : ERR_NOMEM;
		if (!rc)
			rc = resp_reader_next(reader, &value, &err);
		bool hit = fault_disarm();
		assert_int_equal(rc, hit ? ERR_NOMEM : 0);
		assert_true(hit == !value);
		resp_reader_free(reader);
		if (!hit)
			return;
	}
}

/* ---- writing ---- */

static void test_resp_writes_what_clients_read(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 4096);
	assert_int_equal(resp_add_status(&buf, "OK"), 0);
	assert_int_equal(resp_add_error(&buf, "ERR two\r\nlines"), 0);
	assert_int_equal(resp_add_integer(&buf, INT64_MIN), 0);
	assert_int_equal(resp_add_integer(&buf, INT64_MAX), 0);
	assert_int_equal(resp_add_bulk(&buf, "a\0b", 3), 0);
	assert_int_equal(resp_add_nil(&buf), 0);
	assert_int_equal(resp_add_nil_array(&buf), 0);
	assert_int_equal(resp_add_array(&buf, 1), 0);
	assert_int_equal(resp_add_command(&buf, 2, (const char *[]){"GET", ""}, NULL), 0);
	static const char EXPECTED[] = "+OK\r\n-ERR two  lines\r\n:-9223372036854775808\r\n:9223372036854775807\r\n"
				       "$3\r\na\0b\r\n$-1\r\n*-1\r\n*1\r\n*2\r\n$3\r\nGET\r\n$0\r\n\r\n";
	assert_int_equal(buf.len, sizeof(EXPECTED) - 1);
	assert_memory_equal(buf.data, EXPECTED, buf.len);
	buf_done(&buf);
}

static void test_resp_writes_whole_values_or_nothing(void **state)
{
	(void)state;
	for (size_t cap = 0; cap < 30; cap++) {
		struct buf buf;
		buf_init(&buf, cap);
		assert_int_equal(resp_add_bulk(&buf, "0123456789012345678901", 22), cap < 29 ? ERR_TOO_BIG : 0);
		assert_int_equal(buf.len, cap < 29 ? 0 : 29);
		buf_done(&buf);
		buf_init(&buf, cap);
		assert_int_equal(resp_add_command(&buf, 2, (const char *[]){"AB", "0123456789"}, NULL),
				 cap < 29 ? ERR_TOO_BIG : 0);
		assert_int_equal(buf.len, cap < 29 ? 0 : 29);
		buf_done(&buf);
		buf_init(&buf, cap);
		assert_int_equal(resp_add_error(&buf, "01234567890123456789012345"), cap < 29 ? ERR_TOO_BIG : 0);
		assert_int_equal(buf.len, cap < 29 ? 0 : 29);
		buf_done(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_resp_reads_every_kind_of_value_however_it_is_cut),
		cmocka_unit_test(test_resp_gives_texts_with_a_nul_behind_and_nil_for_nil_arrays),
		cmocka_unit_test(test_resp_a_taken_message_outlives_its_reader),
		cmocka_unit_test(test_resp_reads_large_messages_and_gives_their_memory_back),
		cmocka_unit_test(test_resp_refuses_what_is_no_resp2),
		cmocka_unit_test(test_resp_refuses_what_is_too_big_when_it_is_announced),
		cmocka_unit_test(test_resp_takes_what_is_just_within_the_limits),
		cmocka_unit_test(test_resp_takes_only_arrays_of_bulk_strings_from_workers),
		cmocka_unit_test(test_resp_an_error_stays),
		cmocka_unit_test(test_resp_buffers_no_more_than_its_limits),
		cmocka_unit_test(test_resp_survives_any_failing_allocation),
		cmocka_unit_test(test_resp_writes_what_clients_read),
		cmocka_unit_test(test_resp_writes_whole_values_or_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
