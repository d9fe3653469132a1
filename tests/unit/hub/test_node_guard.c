/* Protects the rest from one sick machine: held back after five failures in a row, with growing pauses, until a success. */
#include "hub/node_guard.h"

#include "../support.h"

#include <string.h>

static void fail_times(struct node_guard *guard, unsigned times, int64_t now_ms)
{
	for (unsigned i = 0; i < times; i++)
		node_guard_failure(guard, "no disk", now_ms, 0x80000000U);
}

static void test_node_guard_comes_on_with_the_fifth_failure_in_a_row(void **state)
{
	(void)state;
	struct node_guard guard = {0};
	fail_times(&guard, 4, 1000);
	assert_false(node_guard_is_on(&guard));
	assert_int_equal(guard.not_before_ms, 0);
	fail_times(&guard, 1, 1000);
	assert_true(node_guard_is_on(&guard));
	assert_true(guard.not_before_ms > 1000 && guard.not_before_ms <= 2500);
	assert_string_equal(guard.reason, "no disk");
}

static void test_node_guard_pauses_grow_up_to_a_minute(void **state)
{
	(void)state;
	struct node_guard guard = {0};
	fail_times(&guard, 5, 0);
	int64_t first = guard.not_before_ms;
	fail_times(&guard, 1, 0);
	assert_true(guard.not_before_ms > first);
	fail_times(&guard, 100, 0);
	assert_true(guard.not_before_ms > 20 * 1000 && guard.not_before_ms <= 90 * 1000);
}

static void test_node_guard_forgets_with_a_success(void **state)
{
	(void)state;
	struct node_guard guard = {0};
	fail_times(&guard, 4, 0);
	node_guard_success(&guard);
	fail_times(&guard, 4, 0);
	assert_false(node_guard_is_on(&guard));
	fail_times(&guard, 20, 0);
	node_guard_success(&guard);
	assert_false(node_guard_is_on(&guard));
	assert_int_equal(guard.not_before_ms, 0);
	fail_times(&guard, 5, 0);
	assert_true(guard.not_before_ms <= 1500); /* the pauses begin anew */
}

static void test_node_guard_cuts_a_long_reason(void **state)
{
	(void)state;
	struct node_guard guard = {0};
	char reason[2 * GUARD_REASON_SIZE];
	memset(reason, 'x', sizeof(reason));
	reason[sizeof(reason) - 1] = '\0';
	node_guard_failure(&guard, reason, 0, 0);
	assert_true(strlen(guard.reason) < GUARD_REASON_SIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_node_guard_comes_on_with_the_fifth_failure_in_a_row),
		cmocka_unit_test(test_node_guard_pauses_grow_up_to_a_minute),
		cmocka_unit_test(test_node_guard_forgets_with_a_success),
		cmocka_unit_test(test_node_guard_cuts_a_long_reason),
	};
	return cmocka_run_group_tests_name("node_guard", tests, NULL, NULL);
}
