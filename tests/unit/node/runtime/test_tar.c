/* Protects the archive that engines make an image of: any tar reads it, and the same entries give the same bytes. */
#include "node/runtime/tar.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void make(struct buf *archive)
{
	buf_init(archive, 64 * 1024);
	assert_int_equal(tar_add_directory(archive, "gate/", 0711), 0);
	assert_int_equal(tar_add_file(archive, "pause", 0755, "#!program", 9), 0);
	assert_int_equal(tar_add_file(archive, "empty", 0644, "", 0), 0);
	assert_int_equal(tar_finish(archive), 0);
}

static void test_tar_is_read_by_tar(void **state)
{
	(void)state;
	struct buf archive;
	make(&archive);
	FILE *file = fopen("a.tar", "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(archive.data, 1, archive.len, file), archive.len);
	assert_int_equal(fclose(file), 0);
	buf_done(&archive);
	assert_int_equal(system("tar tvf a.tar --numeric-owner --utc >list && tar xf a.tar pause empty"), 0);
	char *list = read_file("list");
	assert_contains(list, "drwx--x--x 0/0               0 1970-01-01 00:00 gate/\n");
	assert_contains(list, "-rwxr-xr-x 0/0               9 1970-01-01 00:00 pause\n");
	assert_contains(list, "-rw-r--r-- 0/0               0 1970-01-01 00:00 empty\n");
	free(list);
	char *content = read_file("pause");
	assert_string_equal(content, "#!program");
	free(content);
}

static void test_tar_of_the_same_is_the_same(void **state)
{
	(void)state;
	struct buf one;
	struct buf other;
	make(&one);
	make(&other);
	assert_int_equal(one.len % 512, 0);
	assert_int_equal(one.len, other.len);
	assert_memory_equal(one.data, other.data, one.len);
	buf_done(&one);
	buf_done(&other);
}

static void test_tar_refuses_what_does_not_fit(void **state)
{
	(void)state;
	struct buf archive;
	char path[TAR_PATH_MAX + 2];
	memset(path, 'a', sizeof(path));
	path[TAR_PATH_MAX + 1] = '\0';
	buf_init(&archive, 1024);
	assert_int_equal(tar_add_directory(&archive, path, 0755), ERR_INVALID);
	assert_int_equal(tar_add_directory(&archive, path + 1, 0755), 0);
	assert_int_equal(tar_add_file(&archive, "f", 0755, "12345", 5), ERR_TOO_BIG);
	buf_done(&archive);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_tar_is_read_by_tar),
		cmocka_unit_test(test_tar_of_the_same_is_the_same),
		cmocka_unit_test(test_tar_refuses_what_does_not_fit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
