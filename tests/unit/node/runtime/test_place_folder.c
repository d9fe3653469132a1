/* Protects the sockets of places from other users of the machine, and the machine from piles of directories. */
#include "node/runtime/place_folder.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Only the current directory is offered. */
static char *use_sandbox(void)
{
	char *here = realpath(".", NULL);
	(void)unsetenv("RUNTIME_DIRECTORY");
	(void)unsetenv("XDG_RUNTIME_DIR");
	(void)setenv("TMPDIR", here, 1);
	return here;
}

static int leave_sandbox(void **state)
{
	(void)unsetenv("RUNTIME_DIRECTORY");
	(void)unsetenv("XDG_RUNTIME_DIR");
	(void)unsetenv("TMPDIR");
	return sandbox_teardown(state);
}

#define in_own_sandbox(test) cmocka_unit_test_setup_teardown(test, sandbox_setup, leave_sandbox)

static unsigned mode_of(const char *path)
{
	struct stat status;
	assert_int_equal(lstat(path, &status), 0);
	return status.st_mode & 07777;
}

static void test_place_folder_lets_nobody_else_through(void **state)
{
	(void)state;
	struct err err = {0};
	char *here = use_sandbox();
	mode_t mask = umask(077);
	char *folder = place_folder_open("node n1", &err);
	char *one = place_folder_add(folder, &err);
	char *other = place_folder_add(folder, &err);
	(void)umask(mask);
	assert_memory_equal(folder, here, strlen(here));
	assert_int_equal(mode_of(folder), 0700);
	assert_int_equal(mode_of(one), 0711);
	assert_string_not_equal(one, other);
	place_folder_remove(one);
	place_folder_remove(other);
	place_folder_close(folder);
	free(one);
	free(other);
	free(here);
	assert_int_equal(system("test -z \"$(ls -A)\""), 0);
}

static void test_place_folder_is_the_same_in_each_run_and_cleared(void **state)
{
	(void)state;
	struct err err = {0};
	char path[256];
	char *here = use_sandbox();
	char *folder = place_folder_open("node n1", &err);
	char *left = place_folder_add(folder, &err);
	(void)snprintf(path, sizeof(path), "%s/" PLACE_SOCKET, left);
	write_file(path, "");
	char *again = place_folder_open("node n1", &err);
	char *other_node = place_folder_open("node n2", &err);
	assert_string_equal(folder, again);
	assert_string_not_equal(folder, other_node);
	assert_int_equal(access(left, F_OK), -1);
	place_folder_close(other_node);
	place_folder_close(again);
	free(folder);
	free(left);
	free(here);
}

static void test_place_folder_prefers_what_systemd_gives(void **state)
{
	(void)state;
	struct err err = {0};
	char *here = use_sandbox();
	char given[512];
	assert_int_equal(mkdir("run", 0755) | mkdir("user", 0700), 0);
	(void)snprintf(given, sizeof(given), "%s/user", here);
	(void)setenv("XDG_RUNTIME_DIR", given, 1);
	char *folder = place_folder_open("n", &err);
	assert_contains(folder, "/user/idm-");
	place_folder_close(folder);
	(void)snprintf(given, sizeof(given), "%s/run:%s/other", here, here);
	(void)setenv("RUNTIME_DIRECTORY", given, 1);
	folder = place_folder_open("n", &err);
	assert_contains(folder, "/run/idm-");
	place_folder_close(folder);
	free(here);
}

/* What cannot be used is passed over, for /tmp at last. */
static void test_place_folder_passes_over_what_is_of_no_use(void **state)
{
	(void)state;
	struct err err = {0};
	char *here = use_sandbox();
	char longer[256];
	char *folder = place_folder_open("n", &err);
	char *name = strdup(strrchr(folder, '/') + 1);
	place_folder_close(folder);

	assert_int_equal(mkdir("elsewhere", 0700) | symlink("elsewhere", name), 0);
	folder = place_folder_open("n", &err);
	assert_memory_equal(folder, "/tmp/idm-", 9);
	assert_lacks(folder, here);
	place_folder_close(folder);

	(void)unlink(name);
	assert_int_equal(mkdir(name, 0755), 0); /* others could look in */
	folder = place_folder_open("n", &err);
	assert_lacks(folder, here);
	place_folder_close(folder);

	memset(longer, 'x', sizeof(longer));
	longer[0] = '/';
	longer[100] = '\0';
	(void)setenv("TMPDIR", longer, 1);
	folder = place_folder_open("n", &err);
	assert_memory_equal(folder, "/tmp/idm-", 9);
	place_folder_close(folder);
	free(name);
	free(here);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_own_sandbox(test_place_folder_lets_nobody_else_through),
		in_own_sandbox(test_place_folder_is_the_same_in_each_run_and_cleared),
		in_own_sandbox(test_place_folder_prefers_what_systemd_gives),
		in_own_sandbox(test_place_folder_passes_over_what_is_of_no_use),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
