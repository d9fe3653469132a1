/* Protects the reading of configuration: defaults, file, environment, in that order; every problem named with its line;
 * no value in any message. */
#include "config_sample.h"

#include "fault.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>

static char problems[4096];

static void on_problem(void *context, const char *problem)
{
	(void)context;
	size_t len = strlen(problems);
	(void)snprintf(problems + len, sizeof(problems) - len, "%s\n", problem);
}

static int load(struct sample *sample)
{
	*sample = (struct sample){0};
	problems[0] = '\0';
	return config_load(&SAMPLE_TABLE, sample, "f.toml", on_problem, NULL);
}

static void assert_problems(const char *text, const char *expected)
{
	struct sample sample;
	write_file("f.toml", text);
	assert_int_not_equal(load(&sample), 0);
	assert_string_equal(problems, expected);
	config_done(&SAMPLE_TABLE, &sample);
}

static int setup(void **state)
{
	return unsetenv("IDM_TEST_TOKEN") ? -1 : sandbox_setup(state);
}

static void test_config_defaults_stand_where_the_file_is_silent(void **state)
{
	(void)state;
	struct sample sample;
	write_file("f.toml", "token = \"t\"\n");
	assert_int_equal(load(&sample), 0);
	assert_string_equal(sample.name, "somebody");
	assert_string_equal(sample.token, "t");
	assert_int_equal(sample.seconds, 30);
	assert_true(sample.flag);
	assert_int_equal(sample.list.count, 2);
	assert_string_equal(sample.list.items[1], "b");
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_file_overrides_defaults(void **state)
{
	(void)state;
	struct sample sample;
	write_file("f.toml", "name = \"n\\u00e9\"\ntoken = 't'\nseconds = 60\nflag = false\nlist = [\"x\"]\n");
	assert_int_equal(load(&sample), 0);
	assert_string_equal(sample.name, "n\xc3\xa9");
	assert_int_equal(sample.seconds, 60);
	assert_false(sample.flag);
	assert_int_equal(sample.list.count, 1);
	config_done(&SAMPLE_TABLE, &sample);

	write_file("f.toml", "token = 't'\nlist = []\nname = \"\"\n");
	assert_int_equal(load(&sample), 0);
	assert_int_equal(sample.list.count, 0);
	assert_string_equal(sample.name, "");
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_names_unknown_keys_and_wrong_types_with_their_line(void **state)
{
	(void)state;
	assert_problems("# comment\ntoken = \"t\"\n\nsecond = 5\nname = 7\nseconds = \"hunter2\"\nflag = \"hunter2\"\n"
			"list = [\"a\", 1]\nseconds2 = 1\n[table]\nx = 1\n",
			"f.toml:4: unknown key \"second\"; --help lists the keys\n"
			"f.toml:5: name must be a string, not an integer\n"
			"f.toml:6: seconds must be an integer, not a string\n"
			"f.toml:7: flag must be true or false, not a string\n"
			"f.toml:8: list must be an array of strings, not an array\n"
			"f.toml:9: unknown key \"seconds2\"; --help lists the keys\n"
			"f.toml:10: unknown key \"table\"; --help lists the keys\n");
}

static void test_config_checks_bounds_and_values_without_quoting_them(void **state)
{
	(void)state;
	assert_problems("token = \"t\"\nseconds = 61\n", "f.toml:2: seconds must be from 1 to 60 seconds\n");
	assert_problems("token = \"t\"\nseconds = 0\n", "f.toml:2: seconds must be from 1 to 60 seconds\n");
	assert_problems("token = \"t\"\nseconds = 1.5\n", "f.toml:2: seconds must be an integer, not a number with a fraction\n");
	assert_problems("token = \"bad\"\n", "f.toml:1: token: must not be that\n");
}

static void test_config_broken_toml_has_a_position(void **state)
{
	(void)state;
	struct sample sample;
	write_file("f.toml", "name = \"x\"\ntoken = \"hunter2\n");
	assert_int_equal(load(&sample), ERR_INVALID);
	assert_contains(problems, "f.toml: line 2, column ");
	assert_lacks(problems, "hunter2");
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_required_key_may_come_from_the_environment(void **state)
{
	(void)state;
	struct sample sample;
	assert_problems("name = \"x\"\n", "f.toml: token is not set; set it here, or in $IDM_TEST_TOKEN\n");
	assert_problems("token = \"\"\n", "f.toml: token is not set; set it here, or in $IDM_TEST_TOKEN\n");

	write_file("f.toml", "name = \"x\"\n");
	assert_int_equal(setenv("IDM_TEST_TOKEN", "from-environment", 1), 0);
	assert_int_equal(load(&sample), 0);
	assert_string_equal(sample.token, "from-environment");
	config_done(&SAMPLE_TABLE, &sample);

	write_file("f.toml", "token = \"from-file\"\n");
	assert_int_equal(load(&sample), 0);
	assert_string_equal(sample.token, "from-environment");
	config_done(&SAMPLE_TABLE, &sample);

	assert_int_equal(setenv("IDM_TEST_TOKEN", "", 1), 0); /* empty is not set */
	assert_int_equal(load(&sample), 0);
	assert_string_equal(sample.token, "from-file");
	config_done(&SAMPLE_TABLE, &sample);

	assert_int_equal(setenv("IDM_TEST_TOKEN", "bad", 1), 0);
	assert_problems("name = \"x\"\n", "f.toml: in the environment, $IDM_TEST_TOKEN: token: must not be that\n");
}

static void test_config_absent_or_unreadable_file_is_named(void **state)
{
	(void)state;
	struct sample sample = {0};
	problems[0] = '\0';
	assert_int_equal(config_load(&SAMPLE_TABLE, &sample, "absent.toml", on_problem, NULL), ERR_NOT_FOUND);
	assert_contains(problems, "absent.toml");
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_huge_file_is_refused(void **state)
{
	(void)state;
	struct sample sample;
	char *text = malloc(300001);
	assert_non_null(text);
	memset(text, '#', 300000);
	text[300000] = '\0';
	write_file("f.toml", text);
	free(text);
	assert_int_equal(load(&sample), ERR_TOO_BIG);
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_without_memory_fails_cleanly(void **state)
{
	(void)state;
	write_file("f.toml", "token = \"t\"\nname = \"somebody else\"\nlist = [\"x\", \"y\", \"z\"]\n");
	unsigned n = 0;
	bool reached;
	do {
		struct sample sample;
		fault_arm(++n);
		int rc = load(&sample);
		reached = fault_disarm();
		assert_true(rc == 0 || reached);
		if (rc == 0) { /* also where a failure was none: C++ sorts without extra memory, too */
			assert_string_equal(sample.token, "t");
			assert_string_equal(sample.name, "somebody else");
			assert_int_equal(sample.list.count, 3);
			assert_int_equal(sample.seconds, 30);
		}
		config_done(&SAMPLE_TABLE, &sample);
	} while (reached);
	assert_true(n > 10);
}

#define in_clean_sandbox(test) cmocka_unit_test_setup_teardown(test, setup, sandbox_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_clean_sandbox(test_config_defaults_stand_where_the_file_is_silent),
		in_clean_sandbox(test_config_file_overrides_defaults),
		in_clean_sandbox(test_config_names_unknown_keys_and_wrong_types_with_their_line),
		in_clean_sandbox(test_config_checks_bounds_and_values_without_quoting_them),
		in_clean_sandbox(test_config_broken_toml_has_a_position),
		in_clean_sandbox(test_config_required_key_may_come_from_the_environment),
		in_clean_sandbox(test_config_absent_or_unreadable_file_is_named),
		in_clean_sandbox(test_config_huge_file_is_refused),
		in_clean_sandbox(test_config_without_memory_fails_cleanly),
	};
	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
