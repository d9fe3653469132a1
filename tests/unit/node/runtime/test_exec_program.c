/* Protects the file that containers run: it is whole and what we carry, whatever an earlier run left in its place, and nobody can
 * change it. */
#include "node/runtime/exec_program.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct stat check(const char *path)
{
	struct stat status;
	size_t len;
	const char *bytes = exec_program_bytes(&len);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISREG(status.st_mode));
	assert_int_equal(status.st_mode & 07777, 0555);
	assert_int_equal(status.st_size, len);
	char *got = malloc(len);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fread(got, 1, len, file), len);
	assert_memory_equal(got, bytes, len);
	(void)fclose(file);
	free(got);
	return status;
}

static void test_exec_program_is_written_once(void **state)
{
	(void)state;
	struct err err = {0};
	mode_t mask = umask(077);
	char *path = exec_program_place(".", &err);
	(void)umask(mask);
	assert_non_null(path);
	struct stat first = check(path);
	char *again = exec_program_place(".", &err);
	assert_string_equal(again, path);
	struct stat second = check(path);
	assert_int_equal(first.st_ino, second.st_ino);
	free(again);
	exec_program_remove(".");
	assert_int_equal(access(path, F_OK), -1);
	exec_program_remove(".");
	free(path);
}

static void test_exec_program_replaces_what_is_not_it(void **state)
{
	(void)state;
	static const char *const SPOILED[] = {
		"rm -f gridexec; printf x >gridexec; chmod 555 gridexec",
		"chmod 755 gridexec",
		"chmod 755 gridexec; printf x | dd of=gridexec conv=notrunc 2>/dev/null; chmod 555 gridexec",
		"mv gridexec other; ln -s other gridexec",
		"rm -f gridexec; mkfifo gridexec",
	};
	struct err err = {0};
	char *path = exec_program_place(".", &err);
	for (size_t i = 0; i < sizeof(SPOILED) / sizeof(SPOILED[0]); i++) {
		free(path);
		assert_int_equal(system(SPOILED[i]), 0);
		path = exec_program_place(".", &err);
		if (!path)
			fail_msg("%s: %s", SPOILED[i], err.text);
		(void)check(path);
	}
	free(path);
	exec_program_remove(".");
}

static void test_exec_program_says_where_it_cannot_be(void **state)
{
	(void)state;
	struct err err = {0};
	assert_null(exec_program_place("./nowhere", &err));
	assert_contains(err.text, "nowhere/gridexec");
	assert_contains(err.text, "exec tasks");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_exec_program_is_written_once),
		in_sandbox(test_exec_program_replaces_what_is_not_it),
		in_sandbox(test_exec_program_says_where_it_cannot_be),
	};
	return cmocka_run_group_tests_name("exec_program", tests, NULL, NULL);
}
