/* Protects the form of log lines: one call is one line, whatever it holds; levels; journald's prefix. */
#include "base/log.h"

#include "support.h"

#include <regex.h>
#include <stdlib.h>
#include <string.h>

static void assert_matches(const char *text, const char *pattern)
{
	regex_t regex;
	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0))
		fail_msg("\"%s\" does not match %s", text, pattern);
	regfree(&regex);
}

static int setup(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_INFO);
	return unsetenv("JOURNAL_STREAM");
}

static void test_log_line_has_time_level_subject_and_message(void **state)
{
	(void)state;
	capture_begin();
	log_warn("slot=2 task=x", "it %s %d times", "failed", 3);
	log_info(NULL, "no subject");
	char *text = capture_end();
	assert_matches(text, "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z warn  slot=2 task=x: it "
			     "failed 3 times\n[0-9TZ:.-]+ info  no subject\n$");
	free(text);
}

static void test_log_under_journald_has_a_priority_and_no_time(void **state)
{
	(void)state;
	assert_int_equal(setenv("JOURNAL_STREAM", "8:12345", 1), 0);
	log_set_level(LOG_LEVEL_DEBUG);
	capture_begin();
	log_error(NULL, "e");
	log_warn(NULL, "w");
	log_info("node=1", "i");
	log_debug(NULL, "d");
	char *text = capture_end();
	assert_string_equal(text, "<3>e\n<4>w\n<6>node=1: i\n<7>d\n");
	free(text);
}

static void test_log_control_characters_forge_no_line(void **state)
{
	(void)state;
	capture_begin();
	log_info("a\nb", "one\r\ntwo\x1b[31mred\x7f\ttab");
	char *text = capture_end();
	assert_contains(text, "a|b: one?|two?[31mred??tab\n");
	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_null(strpbrk(text, "\r\x1b\x7f\t"));
	free(text);
}

static void test_log_level_holds_back_what_is_below(void **state)
{
	(void)state;
	log_set_level(LOG_LEVEL_WARN);
	assert_true(log_enabled(LOG_LEVEL_ERROR));
	assert_false(log_enabled(LOG_LEVEL_INFO));
	capture_begin();
	log_error(NULL, "first");
	log_warn(NULL, "second");
	log_info(NULL, "third");
	log_debug(NULL, "fourth");
	char *text = capture_end();
	assert_contains(text, "first");
	assert_contains(text, "second");
	assert_lacks(text, "third");
	assert_lacks(text, "fourth");
	free(text);
}

static void test_log_cuts_a_line_without_end(void **state)
{
	(void)state;
	char long_text[10000];
	memset(long_text, 'x', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';
	capture_begin();
	log_info(long_text, "%s", long_text);
	log_info(NULL, "%s", long_text);
	log_info(NULL, "after");
	char *text = capture_end();
	assert_contains(text, "x\n");
	assert_contains(text, "info  after\n");
	assert_true(strlen(text) < 2 * 4097 + 100);
	free(text);
}

static void test_log_level_parse_knows_four_names(void **state)
{
	(void)state;
	enum log_level level = LOG_LEVEL_INFO;
	assert_true(log_level_parse("error", &level) && level == LOG_LEVEL_ERROR);
	assert_true(log_level_parse("warn", &level) && level == LOG_LEVEL_WARN);
	assert_true(log_level_parse("info", &level) && level == LOG_LEVEL_INFO);
	assert_true(log_level_parse("debug", &level) && level == LOG_LEVEL_DEBUG);
	assert_false(log_level_parse("DEBUG", &level));
	assert_false(log_level_parse("", &level));
	assert_false(log_level_parse("warning", &level));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_log_line_has_time_level_subject_and_message, setup),
		cmocka_unit_test_setup(test_log_under_journald_has_a_priority_and_no_time, setup),
		cmocka_unit_test_setup(test_log_control_characters_forge_no_line, setup),
		cmocka_unit_test_setup(test_log_level_holds_back_what_is_below, setup),
		cmocka_unit_test_setup(test_log_cuts_a_line_without_end, setup),
		cmocka_unit_test_setup(test_log_level_parse_knows_four_names, setup),
	};
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
