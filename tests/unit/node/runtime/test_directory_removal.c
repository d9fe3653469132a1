/* Protects everything that is not in a worker's directory from what stands in it. */
#include "node/runtime/directory_removal.h"

#include "support.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_directory_removal_follows_no_link(void **state)
{
	(void)state;
	assert_int_equal(mkdir("outside", 0755), 0);
	write_file("outside/kept", "x");
	assert_int_equal(mkdir("work", 0755), 0);
	assert_int_equal(mkdir("work/a", 0755), 0);
	write_file("work/a/file", "x");
	assert_int_equal(symlink("../outside", "work/link"), 0);
	assert_int_equal(symlink("nowhere", "work/a/dangling"), 0);
	assert_int_equal(mkfifo("work/a/pipe", 0600), 0);
	assert_int_equal(mkdir("work/shut", 0), 0);
	assert_int_equal(directory_remove("work"), 0);
	assert_int_equal(access("work", F_OK), -1);
	assert_int_equal(access("outside/kept", F_OK), 0);

	assert_int_equal(symlink("outside", "link"), 0);
	assert_int_equal(directory_remove("link"), 0); /* the link itself */
	assert_int_equal(access("outside/kept", F_OK), 0);
	assert_int_equal(directory_remove("absent"), 0);
}

static void test_directory_removal_ends_at_its_depth(void **state)
{
	(void)state;
	assert_int_equal(mkdir("deep", 0755), 0);
	assert_int_equal(chdir("deep"), 0);
	for (int i = 0; i < 300; i++) {
		assert_int_equal(mkdir("d", 0755), 0);
		assert_int_equal(chdir("d"), 0);
	}
	for (int i = 0; i < 301; i++)
		assert_int_equal(chdir(".."), 0);
	assert_int_equal(directory_remove("deep"), ELOOP);
	assert_int_equal(directory_remove("deep/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/"
					  "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/"
					  "d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d/d"),
			 0);
	assert_int_equal(directory_remove("deep"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_directory_removal_follows_no_link),
		in_sandbox(test_directory_removal_ends_at_its_depth),
	};
	return cmocka_run_group_tests_name("directory_removal", tests, NULL, NULL);
}
