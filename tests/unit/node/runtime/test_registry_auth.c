/* Protects the use of docker's credentials: the right ones for the right registry, and never in a message. */
#include "node/runtime/registry_auth.h"

#include "fault.h"
#include "base/base64.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* "joe:s3cret" */
#define AUTH "am9lOnMzY3JldA=="

static int read_auth(struct registry_auth *auth, const char *config, const char *registry, struct err *err)
{
	json_t *object = json_loads(config, 0, NULL);
	assert_non_null(object);
	int rc = registry_auth_read(auth, object, registry, err);
	json_decref(object);
	return rc;
}

/* What the header says, decoded; "" where there is none. */
static void decode(const struct registry_auth *auth, char out[512])
{
	struct buf text;
	buf_init(&text, 511);
	if (auth->header)
		assert_int_equal(base64_decode(&text, auth->header, strlen(auth->header)), 0);
	memcpy(out, buf_text(&text), text.len + 1);
	buf_done(&text);
}

static void test_registry_auth_finds_the_registry_by_any_of_its_names(void **state)
{
	(void)state;
	static const struct {
		const char *config, *registry, *header;
	} CASES[] = {
		{"{\"auths\":{\"r.io\":{\"auth\":\"" AUTH "\"}}}", "r.io",
		 "{\"username\":\"joe\",\"password\":\"s3cret\",\"serveraddress\":\"r.io\"}"},
		{"{\"auths\":{\"https://r.io/v2/\":{\"auth\":\"" AUTH "\"}}}", "r.io",
		 "{\"username\":\"joe\",\"password\":\"s3cret\",\"serveraddress\":\"r.io\"}"},
		{"{\"auths\":{\"127.0.0.1:5000\":{\"username\":\"a\",\"password\":\"b:c\"}}}", "127.0.0.1:5000",
		 "{\"username\":\"a\",\"password\":\"b:c\",\"serveraddress\":\"127.0.0.1:5000\"}"},
		{"{\"auths\":{\"https://index.docker.io/v1/\":{\"auth\":\"" AUTH "\"}}}", "docker.io",
		 "{\"username\":\"joe\",\"password\":\"s3cret\",\"serveraddress\":\"https://index.docker.io/v1/\"}"},
		{"{\"auths\":{\"r.io\":{\"auth\":\"" AUTH "\",\"identitytoken\":\"T\"}}}", "r.io",
		 "{\"identitytoken\":\"T\",\"serveraddress\":\"r.io\"}"},
		{"{\"auths\":{\"other.io\":{\"auth\":\"" AUTH "\"}}}", "r.io", ""},
		{"{\"auths\":{\"r.io.evil\":{\"auth\":\"" AUTH "\"}}}", "r.io", ""},
		{"{\"auths\":{\"r.i\":{\"auth\":\"" AUTH "\"}}}", "r.io", ""},
		{"{\"auths\":{\"r.io:5000\":{\"auth\":\"" AUTH "\"}}}", "r.io", ""},
		{"{\"auths\":[]}", "r.io", ""},
		{"{}", "r.io", ""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct registry_auth auth;
		char header[512];
		assert_int_equal(read_auth(&auth, CASES[i].config, CASES[i].registry, NULL), 0);
		decode(&auth, header);
		assert_string_equal(header, CASES[i].header);
		assert_false(auth.helper);
		registry_auth_done(&auth);
	}
}

static void test_registry_auth_tells_of_helpers_where_they_matter(void **state)
{
	(void)state;
	static const struct {
		const char *config;
		bool helper;
	} CASES[] = {
		{"{\"auths\":{\"r.io\":{}},\"credsStore\":\"desktop\"}", true},
		{"{\"credHelpers\":{\"r.io\":\"gcloud\"}}", true},
		{"{\"credsStore\":\"desktop\"}", false}, /* nobody logged in there */
		{"{\"credHelpers\":{\"other.io\":\"gcloud\"}}", false},
		{"{\"auths\":{\"r.io\":{\"auth\":\"" AUTH "\"}},\"credsStore\":\"desktop\"}", false},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct registry_auth auth;
		assert_int_equal(read_auth(&auth, CASES[i].config, "r.io", NULL), 0);
		assert_int_equal(auth.helper, CASES[i].helper);
		registry_auth_done(&auth);
	}
}

static void test_registry_auth_refuses_broken_entries_without_telling_them(void **state)
{
	(void)state;
	static const char *const AUTHS[] = {"s3cret!", "czNjcmV0" /* no colon */, "YQBiOmM=" /* a NUL */};
	for (size_t i = 0; i < sizeof(AUTHS) / sizeof(AUTHS[0]); i++) {
		struct registry_auth auth;
		struct err err = {0};
		json_t *config = json_pack("{s:{s:{s:s}}}", "auths", "r.io", "auth", AUTHS[i]);
		assert_int_equal(registry_auth_read(&auth, config, "r.io", &err), ERR_INVALID);
		assert_null(auth.header);
		assert_contains(err.text, "docker login r.io");
		assert_lacks(err.text, AUTHS[i]);
		assert_lacks(err.text, "s3cret");
		json_decref(config);
	}
}

static void test_registry_auth_reads_the_file_that_docker_names(void **state)
{
	(void)state;
	struct registry_auth auth;
	struct err err = {0};
	assert_int_equal(setenv("DOCKER_CONFIG", "none", 1), 0);
	assert_int_equal(registry_auth_load(&auth, "r.io", &err), 0);
	assert_null(auth.header);

	assert_int_equal(mkdir("there", 0700), 0);
	assert_int_equal(setenv("DOCKER_CONFIG", "there", 1), 0);
	write_file("there/config.json", "{\"auths\":{\"r.io\":{\"auth\":\"" AUTH "\"}}}");
	assert_int_equal(registry_auth_load(&auth, "r.io", &err), 0);
	assert_non_null(auth.header);
	registry_auth_done(&auth);

	write_file("there/config.json", "{\"auths\":{\"r.io\":{\"auth\":\"" AUTH "\"");
	assert_int_equal(registry_auth_load(&auth, "r.io", &err), ERR_INVALID);
	assert_contains(err.text, "there/config.json: ");
	assert_lacks(err.text, AUTH);
	assert_int_equal(unsetenv("DOCKER_CONFIG"), 0);
}

static void test_registry_auth_looks_in_the_home(void **state)
{
	(void)state;
	struct registry_auth auth;
	assert_int_equal(unsetenv("DOCKER_CONFIG"), 0);
	assert_int_equal(setenv("HOME", ".", 1), 0);
	assert_int_equal(mkdir(".docker", 0700), 0);
	write_file(".docker/config.json", "{\"auths\":{\"r.io\":{\"auth\":\"" AUTH "\"}}}");
	assert_int_equal(registry_auth_load(&auth, "r.io", NULL), 0);
	assert_non_null(auth.header);
	registry_auth_done(&auth);
}

static void test_registry_auth_survives_the_lack_of_memory(void **state)
{
	(void)state;
	json_t *config = json_pack("{s:{s:{s:s}}}", "auths", "r.io", "auth", AUTH);
	unsigned n = 0;
	int rc;
	do {
		struct registry_auth auth;
		fault_arm(++n);
		rc = registry_auth_read(&auth, config, "r.io", NULL);
		assert_true((rc == 0) == (auth.header != NULL));
		registry_auth_done(&auth);
	} while (fault_disarm());
	assert_int_equal(rc, 0);
	assert_true(n > 3);
	json_decref(config);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registry_auth_finds_the_registry_by_any_of_its_names),
		cmocka_unit_test(test_registry_auth_tells_of_helpers_where_they_matter),
		cmocka_unit_test(test_registry_auth_refuses_broken_entries_without_telling_them),
		in_sandbox(test_registry_auth_reads_the_file_that_docker_names),
		in_sandbox(test_registry_auth_looks_in_the_home),
		cmocka_unit_test(test_registry_auth_survives_the_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
