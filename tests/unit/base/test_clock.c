/* Protects the form of times: RFC 3339 in UTC with milliseconds, whatever the machine's time zone. */
#include "base/clock.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static void test_clock_formats_rfc3339_in_utc(void **state)
{
	(void)state;
	char text[RFC3339_SIZE];
	assert_int_equal(setenv("TZ", "Asia/Shanghai", 1), 0);
	tzset();
	clock_format_rfc3339(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	clock_format_rfc3339(1769903999007, text);
	assert_string_equal(text, "2026-01-31T23:59:59.007Z");
	clock_format_rfc3339(1709164800999, text);
	assert_string_equal(text, "2024-02-29T00:00:00.999Z");
}

static void test_clock_format_fits_whatever_the_number(void **state)
{
	(void)state;
	static const int64_t ODD[] = {INT64_MAX, INT64_MIN, -1, 253402300800000, 1000LL * INT32_MAX};
	for (size_t i = 0; i < sizeof(ODD) / sizeof(ODD[0]); i++) {
		char text[RFC3339_SIZE];
		clock_format_rfc3339(ODD[i], text);
		assert_true(strlen(text) < sizeof(text));
		assert_int_equal(text[strlen(text) - 1], 'Z');
	}
}

static void test_clock_monotonic_never_goes_back(void **state)
{
	(void)state;
	int64_t last = clock_monotonic_ms();
	for (int i = 0; i < 1000; i++) {
		int64_t now = clock_monotonic_ms();
		assert_true(now >= last);
		last = now;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock_formats_rfc3339_in_utc),
		cmocka_unit_test(test_clock_format_fits_whatever_the_number),
		cmocka_unit_test(test_clock_monotonic_never_goes_back),
	};
	return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
