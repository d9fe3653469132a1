/* Protects what a later run of the agent kills and removes: only what a whole record says. */
#include "node/runtime/process_record.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static const struct process_record EXAMPLE = {
	.directory = "/tmp/idm-work-1", .cgroup = "/sys/fs/cgroup/idm-n/idm-work-1", .group = 4711, .start = 99, .boot = "b-1"};

static void test_process_record_grows_with_the_start(void **state)
{
	(void)state;
	struct process_record read;
	struct err err = {0};
	assert_int_equal(process_record_begin("r", &EXAMPLE, &err), 0);
	assert_int_equal(process_record_read("r", &read, &err), 0);
	assert_string_equal(read.directory, EXAMPLE.directory);
	assert_string_equal(read.cgroup, EXAMPLE.cgroup);
	assert_int_equal(read.group, 0);
	assert_int_equal(process_record_add_group("r", &EXAMPLE, &err), 0);
	assert_int_equal(process_record_read("r", &read, &err), 0);
	assert_int_equal(read.group, 4711);
	assert_int_equal(read.start, 99);
	assert_string_equal(read.boot, "b-1");
}

static void test_process_record_never_replaces_another(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(process_record_begin("r", &EXAMPLE, &err), 0);
	assert_int_equal(process_record_begin("r", &EXAMPLE, &err), ERR_EXISTS);
	assert_int_equal(process_record_add_group("absent", &EXAMPLE, &err), ERR_NOT_FOUND);
}

static void test_process_record_that_was_cut_names_no_group(void **state)
{
	(void)state;
	static const char WHOLE[] = "directory /tmp/d\ncgroup \ngroup 4711 99 b-1\n";
	char text[sizeof(WHOLE)];
	for (size_t len = 0; len < strlen(WHOLE); len++) {
		struct process_record read;
		memcpy(text, WHOLE, len);
		text[len] = '\0';
		write_file("r", text);
		int rc = process_record_read("r", &read, NULL);
		assert_int_equal(rc, len < strlen("directory /tmp/d\n") ? ERR_INVALID : 0);
		assert_int_equal(read.group, 0);
	}
}

static void test_process_record_refuses_groups_that_cannot_be_a_workers(void **state)
{
	(void)state;
	static const char *const BAD[] = {"group 1 99 b", "group 0 1 b", "group -1 9 b", "group x 9 b", "group 7"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		char text[128];
		struct process_record read;
		(void)snprintf(text, sizeof(text), "directory /tmp/d\n%s\n", BAD[i]);
		write_file("r", text);
		assert_int_equal(process_record_read("r", &read, NULL), 0);
		assert_int_equal(read.group, 0); /* -1 would be every process there is */
	}
	struct process_record read;
	write_file("r", "directory relative\n");
	assert_int_equal(process_record_read("r", &read, NULL), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_process_record_grows_with_the_start),
		in_sandbox(test_process_record_never_replaces_another),
		in_sandbox(test_process_record_that_was_cut_names_no_group),
		in_sandbox(test_process_record_refuses_groups_that_cannot_be_a_workers),
	};
	return cmocka_run_group_tests_name("process_record", tests, NULL, NULL);
}
