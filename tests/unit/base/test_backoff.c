/* Protects the bounds of retries: no wait beyond the maximum, none of zero, a spread between one half and the whole. */
#include "base/backoff.h"

#include "support.h"

static void test_backoff_doubles_up_to_its_maximum(void **state)
{
	(void)state;
	static const int64_t EXPECTED[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
	struct backoff low = BACKOFF(1000, 30000);
	struct backoff high = BACKOFF(1000, 30000);
	for (size_t i = 0; i < sizeof(EXPECTED) / sizeof(EXPECTED[0]); i++) {
		int64_t half = EXPECTED[i] / 2;
		assert_int_equal(backoff_next_ms(&low, 0), half);
		/* The number that gives the longest wait: a multiple of the range, less one. */
		assert_int_equal(backoff_next_ms(&high, (uint32_t)(EXPECTED[i] - half)), EXPECTED[i]);
	}
}

static void test_backoff_stays_between_half_and_whole(void **state)
{
	(void)state;
	struct backoff backoff = BACKOFF(100, 5000);
	int64_t seen_low = INT64_MAX;
	int64_t seen_high = 0;
	for (uint32_t i = 0; i < 5000; i++) {
		int64_t wait = backoff_next_ms(&backoff, i * 2654435761U);
		assert_in_range((uintmax_t)wait, i < 6 ? 50 : 2500, 5000);
		if (i >= 6) {
			seen_low = wait < seen_low ? wait : seen_low;
			seen_high = wait > seen_high ? wait : seen_high;
		}
	}
	assert_true(seen_low < 2600 && seen_high > 4900);
}

static void test_backoff_never_overflows(void **state)
{
	(void)state;
	struct backoff backoff = BACKOFF(1, INT64_MAX / 4);
	for (int i = 0; i < 200; i++) {
		int64_t wait = backoff_next_ms(&backoff, UINT32_MAX);
		assert_true(wait >= 0 && wait <= INT64_MAX / 4);
	}
}

static void test_backoff_reset_begins_again(void **state)
{
	(void)state;
	struct backoff backoff = BACKOFF(1000, 60000);
	for (int i = 0; i < 5; i++)
		(void)backoff_next_ms(&backoff, 0);
	backoff_reset(&backoff);
	assert_int_equal(backoff_next_ms(&backoff, 0), 500);
}

static void test_backoff_spread_begins_anywhere_and_then_grows_from_its_base(void **state)
{
	(void)state;
	struct backoff low = BACKOFF_SPREAD(3200, 60000);
	struct backoff high = BACKOFF_SPREAD(3200, 60000);
	assert_int_equal(backoff_next_ms(&low, 0), 100);
	assert_int_equal(backoff_next_ms(&high, 3100), 3200);
	assert_int_equal(backoff_next_ms(&low, 0), 1600);
	assert_int_equal(backoff_next_ms(&low, 0), 3200);
	for (int i = 0; i < 10; i++)
		(void)backoff_next_ms(&low, 0);
	assert_int_equal(backoff_next_ms(&low, 0), 30000);
	backoff_reset(&low);
	assert_int_equal(backoff_next_ms(&low, 0), 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_backoff_doubles_up_to_its_maximum),
		cmocka_unit_test(test_backoff_stays_between_half_and_whole),
		cmocka_unit_test(test_backoff_never_overflows),
		cmocka_unit_test(test_backoff_reset_begins_again),
		cmocka_unit_test(test_backoff_spread_begins_anywhere_and_then_grows_from_its_base),
	};
	return cmocka_run_group_tests_name("backoff", tests, NULL, NULL);
}
