#include "support.h"

#include "node/cpus.h"

static const struct cpus FOUR = {.ids = {0, 2, 4, 7}, .count = 4};

static void test_cpus_of_slot_gives_each_slot_its_own(void **state)
{
	(void)state;
	char list[CPUS_LIST_SIZE];
	assert_int_equal(cpus_of_slot(&FOUR, 0, 1, list, sizeof(list)), 1);
	assert_string_equal(list, "0");
	assert_int_equal(cpus_of_slot(&FOUR, 3, 1, list, sizeof(list)), 1);
	assert_string_equal(list, "7");
}

static void test_cpus_of_slot_goes_round(void **state)
{
	(void)state;
	char list[CPUS_LIST_SIZE];
	assert_int_equal(cpus_of_slot(&FOUR, 5, 1, list, sizeof(list)), 1);
	assert_string_equal(list, "2");
	assert_int_equal(cpus_of_slot(&FOUR, 1, 3, list, sizeof(list)), 3);
	assert_string_equal(list, "7,0,2");
}

static void test_cpus_of_slot_never_names_a_cpu_twice(void **state)
{
	(void)state;
	char list[CPUS_LIST_SIZE];
	assert_int_equal(cpus_of_slot(&FOUR, 1, 9, list, sizeof(list)), 4);
	assert_string_equal(list, "2,4,7,0");
}

static void test_cpus_of_slot_refuses_a_list_that_does_not_fit(void **state)
{
	(void)state;
	char list[4];
	assert_int_equal(cpus_of_slot(&FOUR, 0, 4, list, sizeof(list)), ERR_TOO_BIG);
}

static void test_cpus_exclusive_as_long_as_they_fit(void **state)
{
	(void)state;
	assert_true(cpus_are_exclusive(&FOUR, 4, 1));
	assert_true(cpus_are_exclusive(&FOUR, 2, 2));
	assert_false(cpus_are_exclusive(&FOUR, 5, 1));
	assert_false(cpus_are_exclusive(&FOUR, 3, 2));
}

static void test_cpus_of_this_process_are_some(void **state)
{
	(void)state;
	static struct cpus cpus;
	struct err err = {0};
	assert_int_equal(cpus_of_this_process(&cpus, &err), 0);
	assert_true(cpus.count >= 1);
	for (size_t i = 1; i < cpus.count; i++)
		assert_true(cpus.ids[i] > cpus.ids[i - 1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpus_of_slot_gives_each_slot_its_own),
		cmocka_unit_test(test_cpus_of_slot_goes_round),
		cmocka_unit_test(test_cpus_of_slot_never_names_a_cpu_twice),
		cmocka_unit_test(test_cpus_of_slot_refuses_a_list_that_does_not_fit),
		cmocka_unit_test(test_cpus_exclusive_as_long_as_they_fit),
		cmocka_unit_test(test_cpus_of_this_process_are_some),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
