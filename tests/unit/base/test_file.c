/* Protects the replacing of files: whole or not at all, with the old mode, through symbolic links. */
#include "base/file.h"

#include "fault.h"
#include "support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_content(const char *path, const char *expected)
{
	char *text = read_file(path);
	assert_string_equal(text, expected);
	free(text);
}

static int count_entries(const char *path)
{
	DIR *dir = opendir(path);
	assert_non_null(dir);
	int count = 0;
	while (readdir(dir))
		count++;
	(void)closedir(dir);
	return count - 2;
}

static void test_file_read_takes_a_file_up_to_the_cap(void **state)
{
	(void)state;
	struct err err = {0};
	struct buf buf;
	write_file("f", "0123456789");
	buf_init(&buf, 10);
	assert_int_equal(file_read("f", &buf, NULL), 0);
	assert_string_equal(buf_text(&buf), "0123456789");
	buf_done(&buf);

	buf_init(&buf, 9);
	assert_int_equal(file_read("f", &buf, &err), ERR_TOO_BIG);
	assert_contains(err.text, "larger than 9 bytes");
	buf_done(&buf);

	buf_init(&buf, 9);
	assert_int_equal(file_read("absent", &buf, &err), ERR_NOT_FOUND);
	assert_contains(err.text, "absent");
	assert_int_equal(file_read(".", &buf, &err), ERR_IO);
	write_file("empty", "");
	assert_int_equal(file_read("empty", &buf, NULL), 0);
	assert_string_equal(buf.data, "");
	buf_done(&buf);
}

static void test_file_replace_makes_a_new_file_with_the_given_mode(void **state)
{
	(void)state;
	mode_t old = umask(0077);
	assert_int_equal(file_replace("new", "hello", 5, 0640, NULL), 0);
	(void)umask(old);
	assert_content("new", "hello");
	assert_int_equal(mode_of("new"), 0640);
	assert_int_equal(count_entries("."), 1);
}

static void test_file_replace_keeps_the_mode_and_the_owner(void **state)
{
	(void)state;
	write_file("f", "old");
	assert_int_equal(chmod("f", 0604), 0);
	bool root = geteuid() == 0;
	if (root)
		assert_int_equal(chown("f", 12345, 54321), 0);
	assert_int_equal(file_replace("f", "fresh", 5, 0600, NULL), 0);
	assert_content("f", "fresh");
	assert_int_equal(mode_of("f"), 0604);
	struct stat st;
	assert_int_equal(stat("f", &st), 0);
	assert_int_equal(st.st_uid, root ? 12345 : geteuid());
	if (root)
		assert_int_equal(st.st_gid, 54321);
}

static void test_file_replace_follows_a_symbolic_link(void **state)
{
	(void)state;
	assert_int_equal(mkdir("real", 0755), 0);
	write_file("real/f", "old");
	assert_int_equal(symlink("real/f", "link"), 0);
	assert_int_equal(file_replace("link", "fresh", 5, 0600, NULL), 0);
	struct stat st;
	assert_int_equal(lstat("link", &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_content("real/f", "fresh");
	assert_int_equal(count_entries("real"), 1);
}

static void test_file_replace_that_fails_leaves_the_old_file_alone(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(file_replace("absent/f", "x", 1, 0600, &err), ERR_NOT_FOUND);
	assert_contains(err.text, "absent/f");

	/* A directory in the place of the file: the rename fails, and nothing is left beside it. */
	assert_int_equal(mkdir("d", 0755), 0);
	assert_int_not_equal(file_replace("d", "x", 1, 0600, &err), 0);
	assert_int_equal(count_entries("."), 1);
}

static void test_file_make_directories_makes_parents(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(file_make_directories("a/b/c", 0750, NULL), 0);
	assert_int_equal(mode_of("a/b/c"), 0750);
	assert_int_equal(file_make_directories("a/b/c", 0750, NULL), 0);
	char absolute[4096];
	assert_non_null(getcwd(absolute, sizeof(absolute) - 10));
	(void)strcat(absolute, "/x/y/");
	assert_int_equal(file_make_directories(absolute, 0755, NULL), 0);
	assert_int_equal(mode_of("x/y"), 0755);

	write_file("file", "");
	assert_int_not_equal(file_make_directories("file/below", 0755, &err), 0);
	assert_contains(err.text, "file");
}

static void assert_directory(const char *path, const char *expected)
{
	char *directory = file_directory(path);
	assert_string_equal(directory, expected);
	free(directory);
}

static void test_file_directory_is_what_stands_before_the_name(void **state)
{
	(void)state;
	assert_directory("/etc/idm/x.toml", "/etc/idm");
	assert_directory("x.toml", ".");
	assert_directory("/x.toml", "/");
	assert_directory("a/b/", "a");
	fault_arm(1);
	assert_null(file_directory("a/b"));
	assert_true(fault_disarm());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_file_read_takes_a_file_up_to_the_cap),
		in_sandbox(test_file_replace_makes_a_new_file_with_the_given_mode),
		in_sandbox(test_file_replace_keeps_the_mode_and_the_owner),
		in_sandbox(test_file_replace_follows_a_symbolic_link),
		in_sandbox(test_file_replace_that_fails_leaves_the_old_file_alone),
		in_sandbox(test_file_make_directories_makes_parents),
		in_sandbox(test_file_directory_is_what_stands_before_the_name),
	};
	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
