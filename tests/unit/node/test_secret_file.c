/* Protects the file with the node's secret: one per id, for its owner alone, and no nonsense read from it. */
#include "node/secret_file.h"

#include "../support.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static unsigned mode_of(const char *path)
{
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

static void assert_secret(const char *id, const char *expected)
{
	char secret[129];
	struct err err = {0};
	if (secret_file_read("state/deep", id, secret, sizeof(secret), &err))
		fail_msg("%s", err.text);
	assert_int_equal(err.code, 0);
	assert_string_equal(secret, expected);
}

static void test_secret_file_is_kept_per_id_and_private(void **state)
{
	(void)state;
	mode_t old = umask(0);
	assert_secret("one", "");
	assert_int_equal(secret_file_write("state/deep", "one", "first", NULL), 0);
	assert_int_equal(secret_file_write("state/deep", "two", "second", NULL), 0);
	assert_int_equal(mode_of("state/deep"), 0700);
	assert_int_equal(mode_of("state/deep/secret-one"), 0600);
	assert_secret("one", "first");
	assert_secret("two", "second");
	/* Somebody opened it; the next secret is private again. */
	assert_int_equal(chmod("state/deep/secret-one", 0644), 0);
	assert_int_equal(secret_file_write("state/deep", "one", "third", NULL), 0);
	assert_int_equal(mode_of("state/deep/secret-one"), 0600);
	assert_secret("one", "third");
	secret_file_remove("state/deep", "one");
	secret_file_remove("state/deep", "one");
	char secret[129];
	assert_int_equal(secret_file_read("state/deep", "one", secret, sizeof(secret), NULL), 0);
	assert_secret("one", "");
	assert_secret("two", "second");
	(void)umask(old);
}

static void test_secret_file_that_holds_none_is_told_and_not_quoted(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {"", "\n", "two words\n", "non-ascii-\xc3\xa9\n", "\001hunter2\n"};
	char secret[33];
	assert_int_equal(secret_file_write("state", "x", "y", NULL), 0);
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct err err = {0};
		write_file("state/secret-x", TEXTS[i]);
		assert_int_equal(secret_file_read("state", "x", secret, sizeof(secret), &err), ERR_INVALID);
		assert_string_equal(secret, "");
		assert_contains(err.text, "state/secret-x");
		assert_lacks(err.text, "hunter2");
		assert_lacks(err.text, "words");
	}
	write_file("state/secret-x", "123456789012345678901234567890123\n"); /* a byte too long */
	assert_int_equal(secret_file_read("state", "x", secret, sizeof(secret), NULL), ERR_INVALID);
	write_file("state/secret-x", "12345678901234567890123456789012\r\n");
	assert_int_equal(secret_file_read("state", "x", secret, sizeof(secret), NULL), 0);
	assert_string_equal(secret, "12345678901234567890123456789012");
}

static void test_secret_file_without_a_place_is_an_error(void **state)
{
	(void)state;
	char secret[33];
	struct err err = {0};
	assert_int_equal(secret_file_read(NULL, "x", secret, sizeof(secret), &err), ERR_INVALID);
	assert_contains(err.text, "state_dir");
	assert_int_equal(secret_file_write(NULL, "x", "y", NULL), ERR_INVALID);
	secret_file_remove(NULL, "x");
	write_file("file", "");
	assert_int_not_equal(secret_file_write("file/below", "x", "y", &err), 0);
	assert_contains(err.text, "file/below");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_secret_file_is_kept_per_id_and_private),
		in_sandbox(test_secret_file_that_holds_none_is_told_and_not_quoted),
		in_sandbox(test_secret_file_without_a_place_is_an_error),
	};
	return cmocka_run_group_tests_name("secret_file", tests, NULL, NULL);
}
