/* Protects bytes and credentials on their way: RFC 4648's own examples, all bytes, and what is no base64 is refused. */
#include "base/base64.h"

#include "../support.h"

#include <string.h>

static void assert_encoded(const char *bytes, size_t len, const char *expected)
{
	struct buf out;
	buf_init(&out, 1000);
	assert_int_equal(base64_encode(&out, bytes, len), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_done(&out);
}

static void test_base64_of_the_rfc(void **state)
{
	(void)state;
	assert_encoded("", 0, "");
	assert_encoded("f", 1, "Zg==");
	assert_encoded("fo", 2, "Zm8=");
	assert_encoded("foo", 3, "Zm9v");
	assert_encoded("foob", 4, "Zm9vYg==");
	assert_encoded("fooba", 5, "Zm9vYmE=");
	assert_encoded("foobar", 6, "Zm9vYmFy");
	assert_encoded("\x00\xff\xfb\xff", 4, "AP/7/w==");
}

static void test_base64url_encode_pads_and_is_url_safe(void **state)
{
	(void)state;
	static const struct {
		const char *bytes;
		size_t len;
		const char *text;
	} CASES[] = {{"", 0, ""},	 {"f", 1, "Zg=="},	  {"fo", 2, "Zm8="},
		     {"foo", 3, "Zm9v"}, {"foobar", 6, "Zm9vYmFy"}, {"\xfb\xff\xfe", 3, "-__-"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct buf out;
		buf_init(&out, 64);
		assert_int_equal(base64url_encode(&out, CASES[i].bytes, CASES[i].len), 0);
		assert_string_equal(buf_text(&out), CASES[i].text);
		buf_done(&out);
	}
}

static void test_base64_decode_takes_both_alphabets_with_and_without_padding(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {"+//+", "-__-"};
	for (size_t i = 0; i < 2; i++) {
		struct buf out;
		buf_init(&out, 64);
		assert_int_equal(base64_decode(&out, TEXTS[i], 4), 0);
		assert_memory_equal(out.data, "\xfb\xff\xfe", 3);
		buf_done(&out);
	}
	struct buf out;
	buf_init(&out, 64);
	assert_int_equal(base64_decode(&out, "Zm8", 3), 0);
	assert_int_equal(base64_decode(&out, "Zg==", 4), 0);
	assert_string_equal(buf_text(&out), "fof");
	buf_done(&out);
}

static void test_base64_decode_refuses_what_is_none(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {"Z", "Zm9vZ", "Zm 9v", "Zm=v", "Zm\n8"};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct buf out;
		buf_init(&out, 64);
		assert_int_equal(base64_decode(&out, TEXTS[i], strlen(TEXTS[i])), ERR_INVALID);
		buf_done(&out);
	}
}

static void test_base64_keeps_to_the_cap(void **state)
{
	(void)state;
	struct buf out;
	buf_init(&out, 7);
	assert_int_equal(base64_encode(&out, "foob", 4), ERR_TOO_BIG);
	buf_done(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64_of_the_rfc),
		cmocka_unit_test(test_base64url_encode_pads_and_is_url_safe),
		cmocka_unit_test(test_base64_decode_takes_both_alphabets_with_and_without_padding),
		cmocka_unit_test(test_base64_decode_refuses_what_is_none),
		cmocka_unit_test(test_base64_keeps_to_the_cap),
	};
	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
