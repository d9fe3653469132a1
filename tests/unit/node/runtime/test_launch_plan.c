/* Protects what the launcher is told, which runs as root: it reads back what was written and nothing else, and the task's
 * environment is the worker's alone. */
#include "node/runtime/launch_plan.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static char sh[] = "sh";
static char argument[] = "a b\n";
static char nothing[] = "";
static char mode[] = "MODE=fast";
static char *argv_of_three[] = {sh, argument, nothing, NULL};
static char *env_of_one[] = {mode, NULL};

static struct launch_plan example(void)
{
	return (struct launch_plan){
		.parent = 4711, .cpus = "0,3", .directory = "/tmp/x", .change_user = true, .uid = 65534, .gid = 4294967294U,
		.groups = {1, 65534}, .group_count = 2, .no_new_privileges = true, .processes_max = 2048, .gridexec = true,
		.argv = argv_of_three, .env = env_of_one,
	};
}

static void test_launch_plan_reads_back_what_was_written(void **state)
{
	(void)state;
	struct launch_plan plan = example();
	struct launch_plan read;
	struct buf bytes;
	buf_init(&bytes, LAUNCH_PLAN_MAX);
	assert_int_equal(launch_plan_encode(&plan, &bytes), 0);
	assert_int_equal(launch_plan_decode(bytes.data, bytes.len, &read), 0);
	assert_int_equal(read.parent, 4711);
	assert_string_equal(read.cpus, "0,3");
	assert_string_equal(read.directory, "/tmp/x");
	assert_true(read.change_user && read.no_new_privileges);
	assert_true(read.uid == 65534 && read.gid == 4294967294U);
	assert_int_equal(read.group_count, 2);
	assert_int_equal(read.groups[1], 65534);
	assert_int_equal(read.processes_max, 2048);
	assert_true(read.gridexec);
	assert_string_equal(read.argv[1], argument);
	assert_string_equal(read.argv[2], "");
	assert_null(read.argv[3]);
	assert_string_equal(read.env[0], mode);
	assert_null(read.env[1]);
	launch_plan_done(&read);
	buf_done(&bytes);
}

static void test_launch_plan_refuses_what_is_cut_or_too_long(void **state)
{
	(void)state;
	struct launch_plan plan = example();
	struct launch_plan read;
	struct buf bytes;
	buf_init(&bytes, LAUNCH_PLAN_MAX);
	assert_int_equal(launch_plan_encode(&plan, &bytes), 0);
	for (size_t len = 0; len < bytes.len; len++) {
		char *copy = malloc(len + 1); /* exactly: the sanitizer sees a byte too many */
		memcpy(copy, bytes.data, len);
		assert_int_equal(launch_plan_decode(copy, len, &read), ERR_INVALID);
		free(copy);
	}
	assert_int_equal(buf_add(&bytes, "x", 2), 0);
	assert_int_equal(launch_plan_decode(bytes.data, bytes.len, &read), ERR_INVALID);
	buf_done(&bytes);
}

static void test_launch_plan_without_a_command_is_none(void **state)
{
	(void)state;
	char *none[] = {NULL};
	struct launch_plan plan = example();
	struct launch_plan read;
	struct buf bytes;
	plan.argv = none;
	buf_init(&bytes, LAUNCH_PLAN_MAX);
	assert_int_equal(launch_plan_encode(&plan, &bytes), 0);
	assert_int_equal(launch_plan_decode(bytes.data, bytes.len, &read), ERR_INVALID);
	buf_done(&bytes);
}

static size_t count_of(char **env, const char *entry)
{
	size_t count = 0;
	for (; *env; env++)
		count += strcmp(*env, entry) == 0;
	return count;
}

static void test_launch_environment_is_the_tasks_and_what_every_program_expects(void **state)
{
	(void)state;
	const char *const wanted[] = {"MODE=fast", "PATH=/opt/bin", "HOMELY=yes", NULL};
	(void)setenv("IDM_GRIDCORE_TOKEN", "secret", 1);
	char **env = launch_environment(wanted, "/work");
	size_t count = 0;
	while (env[count])
		count++;
	assert_int_equal(count, 6);
	assert_int_equal(count_of(env, "MODE=fast"), 1);
	assert_int_equal(count_of(env, "HOMELY=yes"), 1);
	assert_int_equal(count_of(env, "PATH=/opt/bin"), 1);
	assert_int_equal(count_of(env, "HOME=/work"), 1);
	assert_int_equal(count_of(env, "TMPDIR=/work"), 1);
	assert_int_equal(count_of(env, "LANG=C.UTF-8"), 1);
	launch_environment_free(env);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_launch_plan_reads_back_what_was_written),
		cmocka_unit_test(test_launch_plan_refuses_what_is_cut_or_too_long),
		cmocka_unit_test(test_launch_plan_without_a_command_is_none),
		cmocka_unit_test(test_launch_environment_is_the_tasks_and_what_every_program_expects),
	};
	return cmocka_run_group_tests_name("launch_plan", tests, NULL, NULL);
}
