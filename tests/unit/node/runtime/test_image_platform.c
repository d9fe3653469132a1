/* Protects the machine from images of other platforms: an engine pulls and starts them without a word. */
#include "node/runtime/image_platform.h"

#include "support.h"

static int check(const char *wanted, const char *os, const char *architecture, const char *variant, struct err *err)
{
	json_t *inspected = json_pack("{s:s, s:s}", "Os", os, "Architecture", architecture);
	if (variant)
		(void)json_object_set_new(inspected, "Variant", json_string(variant));
	int rc = image_platform_check("app:1", wanted, inspected, err);
	json_decref(inspected);
	return rc;
}

static void test_image_platform_fits_the_same(void **state)
{
	(void)state;
	assert_int_equal(check("linux/amd64", "linux", "amd64", NULL, NULL), 0);
	assert_int_equal(check("linux/amd64", "linux", "amd64", "v2", NULL), 0);
	assert_int_equal(check("linux/arm64", "linux", "arm64", "v8", NULL), 0);
	assert_int_equal(check("linux/arm/v7", "linux", "arm", "v7", NULL), 0);
	assert_int_equal(check("linux/arm/v7", "linux", "arm", NULL, NULL), 0);
	assert_int_equal(check("linux/arm/v7", "linux", "arm", "v6", NULL), 0);
}

static void test_image_platform_refuses_others(void **state)
{
	(void)state;
	assert_int_equal(check("linux/amd64", "linux", "arm64", "v8", NULL), ERR_INVALID);
	assert_int_equal(check("linux/amd64", "windows", "amd64", NULL, NULL), ERR_INVALID);
	assert_int_equal(check("linux/arm64", "linux", "arm", "v7", NULL), ERR_INVALID);
	assert_int_equal(check("linux/arm/v7", "linux", "arm64", NULL, NULL), ERR_INVALID);
	assert_int_equal(check("linux/arm/v6", "linux", "arm", "v7", NULL), ERR_INVALID);
	assert_int_equal(image_platform_check("app", "linux/amd64", NULL, NULL), ERR_INVALID);
}

static void test_image_platform_says_both_and_what_to_do(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(check("linux/amd64", "linux", "arm64", "v8", &err), ERR_INVALID);
	assert_string_equal(err.text, "image app:1 is linux/arm64/v8, this machine wants linux/amd64: give the task an image "
				      "for this platform in \"images\"");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_platform_fits_the_same),
		cmocka_unit_test(test_image_platform_refuses_others),
		cmocka_unit_test(test_image_platform_says_both_and_what_to_do),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
