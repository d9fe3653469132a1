/* Protects where items come from: lines, NULs, whole files, combinations, a directory; and what is there only later. */
#include "ctl/item_source.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static uv_loop_t loop;

static void write_bytes(const char *path, const char *bytes, size_t len)
{
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
}

static void expect(struct item_source *source, const char *bytes, size_t len)
{
	struct item item;
	enum item_got got;
	struct err err;
	assert_int_equal(item_source_next(source, &item, &got, &err), 0);
	assert_int_equal(got, ITEM_READY);
	assert_int_equal(item.len, len);
	assert_memory_equal(item.bytes, bytes, len);
}

static void expect_end(struct item_source *source)
{
	struct item item;
	enum item_got got;
	struct err err;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(item_source_next(source, &item, &got, &err), 0);
		assert_int_equal(got, ITEM_NONE);
	}
	item_source_free(source);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
}

static void test_lines_of_files(void **state)
{
	(void)state;
	static const char *const FILES[] = {"one", "empty", "two"};
	write_bytes("one", "a\n\nb\r\n", 6);
	write_bytes("empty", "", 0);
	write_bytes("two", "c\0d", 3);
	struct item_source *source = item_stream_new(&loop, FILES, 3, ITEM_END_NEWLINE);
	expect(source, "a", 1);
	expect(source, "", 0);
	expect(source, "b\r", 2);
	expect(source, "c\0d", 3);
	expect_end(source);
	source = item_stream_new(&loop, FILES, 3, ITEM_END_NUL);
	expect(source, "a\n\nb\r\n", 6);
	expect(source, "c", 1);
	expect(source, "d", 1);
	expect_end(source);
	source = item_stream_new(&loop, FILES, 3, ITEM_END_NONE);
	expect(source, "a\n\nb\r\n", 6);
	expect(source, "", 0);
	expect(source, "c\0d", 3);
	expect_end(source);
}

static void test_a_file_that_is_not_there(void **state)
{
	(void)state;
	static const char *const FILES[] = {"none"};
	struct item_source *source = item_stream_new(&loop, FILES, 1, ITEM_END_NEWLINE);
	struct item item;
	enum item_got got;
	struct err err;
	assert_int_equal(item_source_next(source, &item, &got, &err), ERR_NOT_FOUND);
	assert_contains(err.text, "none");
	item_source_free(source);
}

static void test_an_item_may_have_16_mib_and_no_more(void **state)
{
	(void)state;
	static const char *const FILES[] = {"large"};
	char *bytes = malloc(ITEM_MAX + 1);
	assert_non_null(bytes);
	memset(bytes, 'x', ITEM_MAX + 1);
	for (size_t more = 0; more < 2; more++) {
		write_bytes("large", bytes, ITEM_MAX + more);
		struct item_source *source = item_stream_new(&loop, FILES, 1, ITEM_END_NEWLINE);
		struct item item;
		enum item_got got;
		struct err err;
		assert_int_equal(item_source_next(source, &item, &got, &err), more ? ERR_TOO_BIG : 0);
		item_source_free(source);
	}
	free(bytes);
}

static void on_ready(void *context)
{
	(*(int *)context)++;
}

static void test_a_pipe_gives_what_it_has(void **state)
{
	(void)state;
	int ends[2];
	char path[64];
	const char *const files[] = {path};
	int ready = 0;
	struct item item;
	enum item_got got;
	struct err err;
	assert_int_equal(pipe(ends), 0);
	(void)snprintf(path, sizeof(path), "/dev/fd/%d", ends[0]);
	struct item_source *source = item_stream_new(&loop, files, 1, ITEM_END_NEWLINE);
	item_source_listen(source, on_ready, &ready);
	assert_int_equal(write(ends[1], "a\nb", 3), 3);
	expect(source, "a", 1);
	assert_int_equal(item_source_next(source, &item, &got, &err), 0);
	assert_int_equal(got, ITEM_LATER);
	(void)uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(ready, 0);
	assert_int_equal(write(ends[1], "c\nd", 3), 3);
	(void)uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(ready, 1);
	expect(source, "bc", 2);
	assert_int_equal(close(ends[1]), 0);
	expect(source, "d", 1);
	expect_end(source);
	(void)close(ends[0]);
}

static void test_combinations_of_arguments(void **state)
{
	(void)state;
	static const char *const ONE[] = {"a", "b"};
	static const char *const TWO[] = {"1", "", "3"};
	const struct item_group groups[] = {{ONE, 2}, {TWO, 3}};
	struct err err;
	struct item_source *source = item_product_new(groups, 2, &err);
	assert_int_equal(item_source_count(source), 6);
	static const char *const EXPECTED[] = {"a\t1", "a\t", "a\t3", "b\t1", "b\t", "b\t3"};
	for (size_t i = 0; i < 6; i++)
		expect(source, EXPECTED[i], strlen(EXPECTED[i]));
	expect_end(source);
	const struct item_group none[] = {{ONE, 2}, {TWO, 0}};
	source = item_product_new(none, 2, &err);
	expect_end(source);
}

static void test_files_of_a_directory_by_name(void **state)
{
	(void)state;
	struct err err;
	assert_int_equal(mkdir("d", 0777) || mkdir("d/b", 0777), 0);
	write_bytes("d/c", "3", 1);
	write_bytes("d/b/x", "2", 1);
	write_bytes("d/a", "", 0);
	assert_int_equal(symlink("../c", "d/b/y"), 0);
	assert_int_equal(symlink("..", "d/b/loop"), 0);
	struct item_source *source = item_folder_new("d", &err);
	assert_non_null(source);
	assert_int_equal(item_source_count(source), 4);
	assert_string_equal(item_folder_name(source, 0), "a");
	assert_string_equal(item_folder_name(source, 2), "b/y");
	assert_null(item_folder_name(source, 4));
	expect(source, "", 0);
	expect(source, "2", 1);
	expect(source, "3", 1);
	expect(source, "3", 1);
	expect_end(source);
	assert_null(item_folder_new("none", &err));
	assert_contains(err.text, "none");
}

int main(void)
{
	assert_int_equal(uv_loop_init(&loop), 0);
	const struct CMUnitTest tests[] = {
		in_sandbox(test_lines_of_files),
		in_sandbox(test_a_file_that_is_not_there),
		in_sandbox(test_an_item_may_have_16_mib_and_no_more),
		cmocka_unit_test(test_a_pipe_gives_what_it_has),
		cmocka_unit_test(test_combinations_of_arguments),
		in_sandbox(test_files_of_a_directory_by_name),
	};
	int failed = cmocka_run_group_tests_name("item_source", tests, NULL, NULL);
	(void)uv_loop_close(&loop);
	return failed;
}
