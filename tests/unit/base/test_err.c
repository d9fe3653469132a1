/* Protects the forming of error texts: codes stay, context goes in front, nothing runs over. */
#include "base/err.h"

#include "support.h"

#include <errno.h>
#include <string.h>

static void test_err_set_fills_code_and_text(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(err_set(&err, ERR_STATE, "no %s in %d", "task", 7), ERR_STATE);
	assert_int_equal(err.code, ERR_STATE);
	assert_string_equal(err.text, "no task in 7");
	assert_int_equal(err_set(NULL, ERR_IO, "nobody listens"), ERR_IO);
}

static void test_err_wrap_puts_context_in_front(void **state)
{
	(void)state;
	struct err err = {0};
	(void)err_set(&err, ERR_IO, "disk is gone");
	assert_int_equal(err_wrap(&err, "state in %s", "/x"), ERR_IO);
	assert_int_equal(err_wrap(&err, "hub"), ERR_IO);
	assert_string_equal(err.text, "hub: state in /x: disk is gone");
}

static void test_err_wrap_cuts_what_does_not_fit(void **state)
{
	(void)state;
	struct err err = {0};
	(void)err_set(&err, ERR_IO, "%0*d", 2000, 0);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_int_equal(err_wrap(&err, "context"), ERR_IO);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
	assert_memory_equal(err.text, "context: 000", 12);
	assert_int_equal(err_wrap(&err, "%0*d", 2000, 1), ERR_IO);
	assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
}

static void test_err_from_errno_maps_what_callers_tell_apart(void **state)
{
	(void)state;
	static const struct {
		int error_number;
		enum err_code code;
	} CASES[] = {
		{ENOMEM, ERR_NOMEM},	       {ENOENT, ERR_NOT_FOUND},	     {EEXIST, ERR_EXISTS},
		{EACCES, ERR_DENIED},	       {EPERM, ERR_DENIED},	     {EROFS, ERR_DENIED},
		{ENOSPC, ERR_NO_SPACE},	       {EDQUOT, ERR_NO_SPACE},	     {ECONNREFUSED, ERR_UNREACHABLE},
		{EHOSTUNREACH, ERR_UNREACHABLE}, {ETIMEDOUT, ERR_TIMEOUT},   {EFBIG, ERR_TOO_BIG},
		{EIO, ERR_IO},		       {EISDIR, ERR_IO},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct err err = {0};
		assert_int_equal(err_from_errno(&err, CASES[i].error_number, "cannot read %s", "x"), CASES[i].code);
		assert_int_equal(err.code, CASES[i].code);
		assert_contains(err.text, "cannot read x: ");
		assert_contains(err.text, strerror(CASES[i].error_number));
	}
	assert_int_equal(err_from_errno(NULL, ENOENT, "x"), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_err_set_fills_code_and_text),
		cmocka_unit_test(test_err_wrap_puts_context_in_front),
		cmocka_unit_test(test_err_wrap_cuts_what_does_not_fit),
		cmocka_unit_test(test_err_from_errno_maps_what_callers_tell_apart),
	};
	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
