/* Protects people's configuration files: saving one value leaves every other byte alone; the first file is complete,
 * readable by its owner alone, and found where the order says. */
#include "config_sample.h"

#include "fault.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static void assert_saved(const char *before, const char *after)
{
	write_file("f.toml", before);
	struct err err = {0};
	if (config_save_string("f.toml", "node_id", "id-1", &err))
		fail_msg("%s", err.text);
	char *text = read_file("f.toml");
	assert_string_equal(text, after);
	free(text);
}

static void test_config_save_replaces_the_assignment(void **state)
{
	(void)state;
	assert_saved("a = 1\nnode_id = \"old\"\nb = 2\n", "a = 1\nnode_id = \"id-1\"\nb = 2\n");
	assert_saved("node_id=\"old\"", "node_id = \"id-1\"\n");
	assert_saved("a = 1\n  node_id\t= \"old\" # mine\nb = 2", "a = 1\nnode_id = \"id-1\"\nb = 2");
	/* The assignment is meant, not a comment that stands before it. */
	assert_saved("# node_id = \"x\"\nnode_id = \"old\"\n", "# node_id = \"x\"\nnode_id = \"id-1\"\n");
}

static void test_config_save_uses_the_commented_line(void **state)
{
	(void)state;
	assert_saved("# The id\n# node_id = \"xxx\"\n\n# parallelism = 4\n",
		     "# The id\nnode_id = \"id-1\"\n\n# parallelism = 4\n");
	assert_saved("#node_id = \"xxx\"\nb = 1\n", "node_id = \"id-1\"\nb = 1\n");
}

static void test_config_save_appends_where_there_is_no_line(void **state)
{
	(void)state;
	assert_saved("", "node_id = \"id-1\"\n");
	assert_saved("a = 1\n", "a = 1\nnode_id = \"id-1\"\n");
	assert_saved("a = 1", "a = 1\nnode_id = \"id-1\"\n");
	assert_saved("# nothing\n\n", "# nothing\n\nnode_id = \"id-1\"\n");
}

static void test_config_save_stays_before_tables(void **state)
{
	(void)state;
	assert_saved("a = 1\n[table]\nnode_id = \"not this\"\n",
		     "a = 1\nnode_id = \"id-1\"\n[table]\nnode_id = \"not this\"\n");
	assert_saved("[table]\nb = 1\n", "node_id = \"id-1\"\n[table]\nb = 1\n");
}

static void test_config_save_does_not_mistake_similar_names(void **state)
{
	(void)state;
	assert_saved("node_id_2 = 1\nmy_node_id = 2\n# node_id is the id\n",
		     "node_id_2 = 1\nmy_node_id = 2\n# node_id is the id\nnode_id = \"id-1\"\n");
}

static void test_config_save_keeps_crlf_elsewhere(void **state)
{
	(void)state;
	write_file("f.toml", "a = 1\r\nnode_id = \"old\"\r\n# \xe4\xb8\xad\xe6\x96\x87\r\nb = 2\r\n");
	assert_int_equal(config_save_string("f.toml", "node_id", "id-1", NULL), 0);
	char *text = read_file("f.toml");
	assert_memory_equal(text, "a = 1\r\nnode_id = \"id-1\"", 23);
	assert_contains(text, "\n# \xe4\xb8\xad\xe6\x96\x87\r\nb = 2\r\n");
	free(text);
}

static void test_config_save_twice_is_stable_and_keeps_the_mode(void **state)
{
	(void)state;
	write_file("f.toml", "# node_id = \"\"\n");
	assert_int_equal(chmod("f.toml", 0640), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(config_save_string("f.toml", "node_id", "id-1", NULL), 0);
	char *text = read_file("f.toml");
	assert_string_equal(text, "node_id = \"id-1\"\n");
	free(text);
	struct stat st;
	assert_int_equal(stat("f.toml", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0640);
}

static void test_config_save_quotes_the_value(void **state)
{
	(void)state;
	struct sample sample = {0};
	static const char ODD[] = "a\"b\\c\nd\x01\x7f \xc3\xa9#=";
	write_file("f.toml", "token = \"t\"\n");
	assert_int_equal(config_save_string("f.toml", "name", ODD, NULL), 0);
	assert_int_equal(config_load(&SAMPLE_TABLE, &sample, "f.toml", NULL, NULL), 0);
	assert_string_equal(sample.name, ODD);
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_save_into_no_file_is_an_error(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(config_save_string("absent.toml", "node_id", "x", &err), ERR_NOT_FOUND);
	assert_int_not_equal(access("absent.toml", F_OK), 0);
}

static void test_config_save_without_memory_leaves_the_file_alone(void **state)
{
	(void)state;
	static const char BEFORE[] = "a = 1\nnode_id = \"old\"\n";
	unsigned n = 0;
	bool reached;
	do {
		write_file("f.toml", BEFORE);
		fault_arm(++n);
		int rc = config_save_string("f.toml", "node_id", "id-1", NULL);
		reached = fault_disarm();
		char *text = read_file("f.toml");
		assert_string_equal(text, rc ? BEFORE : "a = 1\nnode_id = \"id-1\"\n");
		free(text);
	} while (reached);
	assert_true(n > 3);
}

static void test_config_sample_reads_back_as_the_defaults(void **state)
{
	(void)state;
	static const struct config_initial INITIAL[] = {{.name = "token", .value = "a \"strong\" one"}};
	mode_t old = umask(0);
	assert_int_equal(config_write_sample(&SAMPLE_TABLE, "new/dir/f.toml", INITIAL, 1, NULL), 0);
	(void)umask(old);
	struct stat st;
	assert_int_equal(stat("new/dir/f.toml", &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);

	char *text = read_file("new/dir/f.toml");
	assert_memory_equal(text, "# sample: what the tests read.\n", 31);
	assert_contains(text, "# Who it is.\n# In two lines.\n# name = \"somebody\"\n");
	assert_contains(text, "# How long.\n# (seconds)\n# seconds = 30\n");
	assert_contains(text, "\ntoken = \"a \\\"strong\\\" one\"\n");
	assert_contains(text, "# list = [\"a\", \"b\"]\n");
	free(text);

	struct sample sample = {0};
	assert_int_equal(config_load(&SAMPLE_TABLE, &sample, "new/dir/f.toml", NULL, NULL), 0);
	assert_string_equal(sample.token, "a \"strong\" one");
	assert_string_equal(sample.name, "somebody");
	config_done(&SAMPLE_TABLE, &sample);
}

static void test_config_sample_says_every_default_right(void **state)
{
	(void)state;
	assert_int_equal(config_write_sample(&SAMPLE_TABLE, "f.toml", NULL, 0, NULL), 0);
	char *text = read_file("f.toml");
	/* Uncommented, each line must be what the program would take: the comments never lie. */
	for (char *at = text; (at = strstr(at, "\n# ")) != NULL; at++) {
		size_t name = strcspn(at + 3, " \n");
		if (at[3 + name] == ' ' && at[4 + name] == '=')
			memcpy(at, "\n  ", 3);
	}
	write_file("f.toml", text);
	free(text);
	assert_int_equal(setenv("IDM_TEST_TOKEN", "t", 1), 0);
	struct sample sample = {0};
	assert_int_equal(config_load(&SAMPLE_TABLE, &sample, "f.toml", NULL, NULL), 0);
	assert_string_equal(sample.name, "somebody");
	assert_int_equal(sample.seconds, 30);
	assert_int_equal(sample.list.count, 2);
	config_done(&SAMPLE_TABLE, &sample);
	assert_int_equal(unsetenv("IDM_TEST_TOKEN"), 0);
}

static void assert_found(const char *given, const char *expected, bool exists)
{
	struct config_place place = {0};
	assert_int_equal(config_find("sample-of-tests.toml", given, &place, NULL), 0);
	assert_string_equal(place.path, expected);
	assert_int_equal(place.exists, exists);
	free(place.path);
}

static void test_config_find_keeps_the_order(void **state)
{
	(void)state;
	char home[4096];
	char path[4200];
	assert_non_null(getcwd(home, sizeof(home)));
	assert_int_equal(setenv("HOME", home, 1), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
	assert_int_equal(unsetenv("IDM_GRIDCORE_CONFIG"), 0);
	if (geteuid() == 0)
		assert_found(NULL, "/etc/idm-gridcore/sample-of-tests.toml", false);

	(void)snprintf(path, sizeof(path), "%s/.config/idm-gridcore/sample-of-tests.toml", home);
	assert_int_equal(mkdir(".config", 0755), 0);
	assert_int_equal(mkdir(".config/idm-gridcore", 0755), 0);
	write_file(path, "");
	assert_found(NULL, path, true);

	assert_int_equal(setenv("XDG_CONFIG_HOME", home, 1), 0);
	(void)snprintf(path, sizeof(path), "%s/idm-gridcore/sample-of-tests.toml", home);
	assert_int_equal(mkdir("idm-gridcore", 0755), 0);
	write_file(path, "");
	assert_found(NULL, path, true);

	assert_int_equal(setenv("IDM_GRIDCORE_CONFIG", "from-environment.toml", 1), 0);
	assert_found(NULL, "from-environment.toml", false);
	write_file("given.toml", "");
	assert_found("given.toml", "given.toml", true);
	assert_int_equal(unsetenv("IDM_GRIDCORE_CONFIG"), 0);
	assert_int_equal(unsetenv("XDG_CONFIG_HOME"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_config_save_replaces_the_assignment),
		in_sandbox(test_config_save_uses_the_commented_line),
		in_sandbox(test_config_save_appends_where_there_is_no_line),
		in_sandbox(test_config_save_stays_before_tables),
		in_sandbox(test_config_save_does_not_mistake_similar_names),
		in_sandbox(test_config_save_keeps_crlf_elsewhere),
		in_sandbox(test_config_save_twice_is_stable_and_keeps_the_mode),
		in_sandbox(test_config_save_quotes_the_value),
		in_sandbox(test_config_save_into_no_file_is_an_error),
		in_sandbox(test_config_save_without_memory_leaves_the_file_alone),
		in_sandbox(test_config_sample_reads_back_as_the_defaults),
		in_sandbox(test_config_sample_says_every_default_right),
		in_sandbox(test_config_find_keeps_the_order),
	};
	return cmocka_run_group_tests_name("config_file", tests, NULL, NULL);
}
