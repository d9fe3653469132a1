/* Protects the image that no registry has: its name follows its content, and it holds the program for this machine. */
#include "node/runtime/pause_image.h"

#include "fault.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_pause_image_is_named_after_its_content(void **state)
{
	(void)state;
	struct buf archive;
	char digest[PAUSE_DIGEST_SIZE];
	char name[PAUSE_IMAGE_NAME_SIZE];
	char again[PAUSE_IMAGE_NAME_SIZE];
	buf_init(&archive, 4 * 1024 * 1024);
	assert_int_equal(pause_image_archive(&archive, digest), 0);
	pause_image_name(name);
	pause_image_name(again);
	assert_string_equal(name, again);
	assert_int_equal(strlen(digest), 64);
	assert_memory_equal(name, "idm-gridcore/pause:", strlen("idm-gridcore/pause:"));
	assert_int_equal(strlen(name), strlen("idm-gridcore/pause:") + 16);
	assert_memory_equal(name + strlen("idm-gridcore/pause:"), digest, 16);

	FILE *file = fopen("image.tar", "wb");
	assert_non_null(file);
	(void)fwrite(archive.data, 1, archive.len, file);
	(void)fclose(file);
	buf_done(&archive);
	char command[128];
	(void)snprintf(command, sizeof(command), "sha256sum image.tar | grep -q ^%s", digest);
	assert_int_equal(system(command), 0);
}

static void test_pause_image_holds_a_small_program(void **state)
{
	(void)state;
	struct buf archive;
	char digest[PAUSE_DIGEST_SIZE];
	buf_init(&archive, 4 * 1024 * 1024);
	assert_int_equal(pause_image_archive(&archive, digest), 0);
	assert_true(archive.len < 64 * 1024);
	assert_memory_equal(archive.data + 2 * 512, "\177ELF", 4); /* after the headers of "gate/" and "pause" */
	buf_done(&archive);
}

static void test_pause_image_says_when_memory_is_short(void **state)
{
	(void)state;
	unsigned n = 0;
	int rc;
	do {
		struct buf archive;
		char digest[PAUSE_DIGEST_SIZE];
		buf_init(&archive, 4 * 1024 * 1024);
		fault_arm(++n);
		rc = pause_image_archive(&archive, digest);
		buf_done(&archive);
		assert_true(rc == 0 || rc == ERR_NOMEM);
	} while (fault_disarm());
	assert_int_equal(rc, 0);
	assert_true(n > 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_pause_image_is_named_after_its_content),
		cmocka_unit_test(test_pause_image_holds_a_small_program),
		cmocka_unit_test(test_pause_image_says_when_memory_is_short),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
