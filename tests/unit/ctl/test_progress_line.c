/* Protects the line of progress: numbers as people read them, and never wider than the terminal. */
#include "ctl/progress_line.h"
#include "ctl/rate.h"
#include "ctl/shown.h"

#include "support.h"

#include <string.h>

static void expect(const struct progress_view *view, int width, const char *line)
{
	struct buf text;
	buf_init(&text, 1000);
	assert_int_equal(progress_line(&text, view, width), 0);
	assert_string_equal(buf_text(&text), line);
	buf_done(&text);
}

static void test_a_line_has_what_fits(void **state)
{
	(void)state;
	struct progress_view view = {.name = "sum", .total = 2000, .done = 999, .failed = 1, .rate = 12.34, .nodes = 2};
	expect(&view, 79, "sum  [#########.........]  50%  999/2,000  1 failed  12.3/s  1:21 left  2 nodes");
	expect(&view, 60, "999/2,000  1 failed  12.3/s  1:21 left  2 nodes");
	expect(&view, 20, "999/2,000  1 failed");
	view.state = "waits behind other";
	expect(&view, 79, "sum  [########.........]  50%  999/2,000  1 failed  waits behind other  2 nodes");
}

static void test_no_line_is_too_wide(void **state)
{
	(void)state;
	static const struct progress_view VIEWS[] = {
		{.name = "a-very-long-name-of-a-task-that-nobody-types", .total = 1000000, .done = 999999, .failed = 1, .rate = 0.01, .nodes = 1},
		{.name = "\xe4\xb8\xad\xe6\x96\x87", .total = -1, .done = 5, .nodes = -1, .state = "the hub does not answer"},
		{.name = "x", .total = 10, .grows = true, .done = 3, .failed = 2, .rate = 123456, .nodes = 1000},
	};
	for (size_t i = 0; i < sizeof(VIEWS) / sizeof(VIEWS[0]); i++) {
		for (int width = 24; width < 200; width++) {
			struct buf text;
			buf_init(&text, 1000);
			assert_int_equal(progress_line(&text, &VIEWS[i], width), 0);
			assert_true((int)shown_width(buf_text(&text)) <= width);
			buf_done(&text);
		}
	}
}

static void test_words_for_a_log(void **state)
{
	(void)state;
	struct buf text;
	const struct progress_view view = {.name = "t", .total = 20, .done = 5, .rate = 0.5, .nodes = 1};
	buf_init(&text, 1000);
	assert_int_equal(progress_words(&text, &view), 0);
	assert_string_equal(buf_text(&text), "5 of 20 done, 30.0/min, 0:30 left, 1 node");
	buf_done(&text);
}

static void test_times_are_short(void **state)
{
	(void)state;
	static const struct {
		double seconds;
		const char *text;
	} CASES[] = {{0.4, "0:00"}, {59.6, "1:00"}, {3599, "59:59"}, {3661, "1:01:01"}, {100000, "1d 3h"}, {1e300, "11574074d 1h"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct buf text;
		buf_init(&text, 100);
		assert_int_equal(progress_add_seconds(&text, CASES[i].seconds), 0);
		assert_string_equal(buf_text(&text), CASES[i].text);
		buf_done(&text);
	}
}

static void test_the_rate_is_that_of_the_last_half_minute(void **state)
{
	(void)state;
	struct rate rate = {0};
	assert_true(rate_per_second(&rate, 0) == 0);
	for (int s = 0; s <= 100; s++)
		rate_note(&rate, (int64_t)s * 1000, s < 60 ? 1000 * s : 60000 + 2 * (s - 60));
	double now = rate_per_second(&rate, 100 * 1000);
	assert_true(now > 1.9 && now < 2.1);
	rate_note(&rate, 101 * 1000, 0); /* it counts anew */
	assert_true(rate_per_second(&rate, 101 * 1000) == 0);
}

int main(void)
{
	shown_begin();
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_line_has_what_fits),
		cmocka_unit_test(test_no_line_is_too_wide),
		cmocka_unit_test(test_words_for_a_log),
		cmocka_unit_test(test_times_are_short),
		cmocka_unit_test(test_the_rate_is_that_of_the_last_half_minute),
	};
	return cmocka_run_group_tests_name("progress_line", tests, NULL, NULL);
}
