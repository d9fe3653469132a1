/* Protects that no signal is missed: neither before a wait, nor in it, nor where there is always news. */
#include "exec/signals.h"

#include "base/clock.h"
#include "support.h"

#include <signal.h>
#include <unistd.h>

static int fresh(void **state)
{
	(void)state;
	signals_init();
	return 0;
}

static void test_signal_before_a_wait_cuts_it_short(void **state)
{
	(void)state;
	assert_int_equal(raise(SIGTERM), 0);
	assert_false(signals_stop_asked());
	int64_t begin_ms = clock_monotonic_ms();
	assert_int_equal(signals_poll(NULL, 0, begin_ms + 60000), 0);
	assert_in_range(clock_monotonic_ms() - begin_ms, 0, 5000);
	assert_true(signals_stop_asked());
	assert_int_equal(raise(SIGCHLD), 0);
	assert_int_equal(signals_poll(NULL, 0, 0), 0);
	assert_true(signals_child_ended());
	assert_false(signals_child_ended()); /* told once */
}

static void test_wait_ends_in_time(void **state)
{
	(void)state;
	int64_t begin_ms = clock_monotonic_ms();
	assert_int_equal(signals_poll(NULL, 0, begin_ms + 50), 0);
	assert_in_range(clock_monotonic_ms() - begin_ms, 49, 5000);
	assert_int_equal(signals_poll(NULL, 0, 1), 0); /* a deadline that has passed */
	assert_false(signals_stop_asked());
}

static void test_steady_news_keep_no_signal_out(void **state)
{
	(void)state;
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(raise(SIGTERM), 0);
	struct pollfd fd = {.fd = ends[0], .events = POLLIN};
	for (int polls = 0; polls < 100 && !signals_stop_asked(); polls++)
		assert_int_equal(signals_poll(&fd, 1, 0), 1);
	assert_true(signals_stop_asked());
	(void)close(ends[0]);
	(void)close(ends[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_signal_before_a_wait_cuts_it_short, fresh),
		cmocka_unit_test_setup(test_wait_ends_in_time, fresh),
		cmocka_unit_test_setup(test_steady_news_keep_no_signal_out, fresh),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
