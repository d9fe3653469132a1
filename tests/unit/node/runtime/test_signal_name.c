/* Protects the telling apart of stops and crashes: the names that engines and images give to signals. */
#include "node/runtime/signal_name.h"

#include "support.h"

static void test_signal_name_is_read_in_every_form(void **state)
{
	(void)state;
	assert_int_equal(signal_number("15"), 15);
	assert_int_equal(signal_number("64"), 64);
	assert_int_equal(signal_number("TERM"), 15);
	assert_int_equal(signal_number("SIGTERM"), 15);
	assert_int_equal(signal_number("sigquit"), 3);
	assert_int_equal(signal_number("SIGRTMIN+3"), 37);
}

static void test_signal_name_knows_nothing_else(void **state)
{
	(void)state;
	static const char *const OTHERS[] = {"", "0", "-9", "65", "9x", "SIG", "SIGNAL", "99999999999999999999"};
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		assert_int_equal(signal_number(OTHERS[i]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_signal_name_is_read_in_every_form),
		cmocka_unit_test(test_signal_name_knows_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
