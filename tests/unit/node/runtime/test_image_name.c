/* Protects the meaning of image names: a tag is always sent, a registry's port is no tag, and no name can change the
 * path of an Engine call. */
#include "node/runtime/image_name.h"

#include "support.h"

#include <string.h>

#define HEX "04474d68d9cade681ef0d668a1b682b29f32dae9c8a9bb44ebc064fa72eaffcf"
#define DIGEST "sha256:" HEX

static void test_image_name_is_taken_apart(void **state)
{
	(void)state;
	static const struct {
		const char *text, *full, *repository, *reference, *registry;
	} CASES[] = {
		{"busybox", "busybox:latest", "busybox", "latest", "docker.io"},
		{"busybox:1.36", "busybox:1.36", "busybox", "1.36", "docker.io"},
		{"team/app:v2_b-3", "team/app:v2_b-3", "team/app", "v2_b-3", "docker.io"},
		{"docker.io/library/app", "docker.io/library/app:latest", "docker.io/library/app", "latest", "docker.io"},
		{"ghcr.io/a/b/c:1", "ghcr.io/a/b/c:1", "ghcr.io/a/b/c", "1", "ghcr.io"},
		{"localhost/app", "localhost/app:latest", "localhost/app", "latest", "localhost"},
		{"127.0.0.1:5000/app", "127.0.0.1:5000/app:latest", "127.0.0.1:5000/app", "latest", "127.0.0.1:5000"},
		{"host:5000/app:9", "host:5000/app:9", "host:5000/app", "9", "host:5000"},
		{"app@" DIGEST, "app@" DIGEST, "app", DIGEST, "docker.io"},
		{"r.io/app:1@" DIGEST, "r.io/app@" DIGEST, "r.io/app", DIGEST, "r.io"},
		{DIGEST, DIGEST, "sha256", HEX, "docker.io"}, /* an image's id */
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct image_name name;
		assert_int_equal(image_name_parse(CASES[i].text, &name, NULL), 0);
		assert_string_equal(name.full, CASES[i].full);
		assert_string_equal(name.repository, CASES[i].repository);
		assert_string_equal(name.reference, CASES[i].reference);
		assert_string_equal(name.registry, CASES[i].registry);
	}
}

static void test_image_name_refuses_what_could_change_a_path(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {
		"", "..", "a/../b", "./a", "a//b", "/a", "a/", "a?b", "a#b", "a%2f", "a b", "a\nb", "a:", "a:-1", "a:b c",
		":1", "a@", "a@sha256:", "a@sha256:xyz", "a@:12", "a/b:c:d", "h:5000", "\xc3\xa9", "a/b/", "a&b=c", "a-", "a./b",
	};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct image_name name;
		struct err err = {0};
		/* "h:5000" is a good name with a tag. */
		int expected = strcmp(TEXTS[i], "h:5000") == 0 ? 0 : ERR_INVALID;
		assert_int_equal(image_name_parse(TEXTS[i], &name, &err), expected);
	}
}

static void test_image_name_has_a_greatest_length(void **state)
{
	(void)state;
	char text[IMAGE_NAME_MAX + 1];
	struct image_name name;
	memset(text, 'a', sizeof(text));
	text[IMAGE_NAME_MAX - 8] = '\0';
	assert_int_equal(image_name_parse(text, &name, NULL), 0);
	assert_int_equal(strlen(name.full), IMAGE_NAME_MAX - 1);
	text[IMAGE_NAME_MAX - 8] = 'a';
	text[IMAGE_NAME_MAX - 7] = '\0';
	assert_int_equal(image_name_parse(text, &name, NULL), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_image_name_is_taken_apart),
		cmocka_unit_test(test_image_name_refuses_what_could_change_a_path),
		cmocka_unit_test(test_image_name_has_a_greatest_length),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
