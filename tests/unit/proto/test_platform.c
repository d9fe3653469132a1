/* Protects the table of platforms, which decides which image a machine gets. */
#include "proto/platform.h"

#include "support.h"

static void assert_platform(const char *architecture, const char *expected)
{
	const struct platform *platform = platform_of_architecture(architecture);
	if (!expected) {
		assert_null(platform);
		return;
	}
	assert_non_null(platform);
	assert_string_equal(platform->name, expected);
}

static void test_platform_of_architecture_knows_the_seeds_and_the_usual_names(void **state)
{
	(void)state;
	assert_platform("x86_64", "linux/amd64");
	assert_platform("amd64", "linux/amd64");
	assert_platform("aarch64", "linux/arm64");
	assert_platform("arm64", "linux/arm64");
	assert_platform("arm", "linux/arm/v7");
	assert_platform("armv7l", "linux/arm/v7");
	assert_platform("riscv64", NULL);
	assert_platform("X86_64", NULL);
	assert_platform("", NULL);
}

static void test_platform_is_known_knows_three(void **state)
{
	(void)state;
	assert_true(platform_is_known(PLATFORM_DEFAULT));
	assert_true(platform_is_known("linux/amd64"));
	assert_true(platform_is_known("linux/arm64"));
	assert_true(platform_is_known("linux/arm/v7"));
	assert_false(platform_is_known("linux/arm"));
	assert_false(platform_is_known("linux/amd64 "));
	assert_false(platform_is_known("amd64"));
	assert_false(platform_is_known(""));
}

static void test_platform_here_is_one_of_them(void **state)
{
	(void)state;
	const struct platform *here = platform_here();
	assert_non_null(here);
	assert_true(platform_is_known(here->name));
	assert_ptr_equal(platform_of_architecture(here->architecture), here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_platform_of_architecture_knows_the_seeds_and_the_usual_names),
		cmocka_unit_test(test_platform_is_known_knows_three),
		cmocka_unit_test(test_platform_here_is_one_of_them),
	};
	return cmocka_run_group_tests_name("platform", tests, NULL, NULL);
}
