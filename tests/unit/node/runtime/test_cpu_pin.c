/* Protects the pinning by affinity: lists are read as the kernel writes them, and no process is touched that is not
 * provably the container's. */
#include "node/runtime/cpu_pin.h"

#include "support.h"

#ifdef __linux__

#include <unistd.h>

static void test_cpu_list_parse_reads_the_form_of_the_kernel(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int count;
		int one;
	} CASES[] = {{"0", 1, 0}, {"3", 1, 3}, {"2,5", 2, 5}, {"0-3", 4, 2}, {"0-1,8,10-11", 5, 8}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		cpu_set_t set;
		assert_int_equal(cpu_list_parse(CASES[i].text, &set), 0);
		assert_int_equal(CPU_COUNT(&set), CASES[i].count);
		assert_true(CPU_ISSET((size_t)CASES[i].one, &set));
	}
}

static void test_cpu_list_parse_refuses_other_text(void **state)
{
	(void)state;
	static const char *const BAD[] = {"",	"-1", ",",  "0,",  "a",			 "1-", "3-1",
					  " 1", "1 ", "0x1", "0;1", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		cpu_set_t set;
		assert_int_equal(cpu_list_parse(BAD[i], &set), ERR_INVALID);
	}
}

static void test_cpu_pin_leaves_foreign_processes_alone(void **state)
{
	(void)state;
	struct err err = {0};
	cpu_set_t before;
	cpu_set_t after;
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	assert_int_equal(cpu_pin_container(getpid(), "0123456789abcdef0123456789abcdef", "0", &err), ERR_DENIED);
	assert_contains(err.text, "cannot be recognised");
	assert_int_equal(sched_getaffinity(0, sizeof(after), &after), 0);
	assert_true(CPU_EQUAL(&before, &after));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cpu_list_parse_reads_the_form_of_the_kernel),
		cmocka_unit_test(test_cpu_list_parse_refuses_other_text),
		cmocka_unit_test(test_cpu_pin_leaves_foreign_processes_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
	return 77; /* nothing to test here */
}

#endif
