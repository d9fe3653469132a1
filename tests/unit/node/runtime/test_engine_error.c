/* Protects what people read when an engine refuses: the engine's own words, our code, and what to do next. */
#include "node/runtime/engine_error.h"

#include "support.h"

#include <jansson.h>
#include <string.h>

static void test_engine_error_knows_the_refusals_that_matter(void **state)
{
	(void)state;
	/* Messages of Docker 20.10 and Podman 4.3, as they came. */
	static const struct {
		int status, code;
		const char *message, *advice;
	} CASES[] = {
		{404, ERR_NOT_FOUND, "No such image: nope:1", "No such image"},
		{404, ERR_NOT_FOUND, "manifest for r.io/big:77 not found: manifest unknown: manifest unknown",
		 "correct the image's name or tag"},
		{404, ERR_INVALID,
		 "image with reference a:1 was found but does not match the specified platform: wanted linux/amd64, "
		 "actual: linux/arm64/v8",
		 "\"images\""},
		{409, ERR_EXISTS,
		 "Conflict. The container name \"/x1\" is already in use by container \"6862\". You have to remove (or "
		 "rename) that container to be able to reuse that name.",
		 "already in use"},
		{500, ERR_EXISTS, "creating container storage: the container name \"x\" is already in use by 1f", "in use"},
		{500, ERR_NO_SPACE, "write /var/lib/docker/tmp/x: no space left on device", "free disk space"},
		{500, ERR_DENIED, "Head \"http://r.io/v2/big/manifests/1\": no basic auth credentials", "docker login"},
		{500, ERR_UNREACHABLE, "Get \"http://r.io/v2/\": dial tcp 127.0.0.1:5999: connect: connection refused",
		 "the registry does not answer"},
		{400, ERR_INVALID, "Minimum memory limit allowed is 6MB", "memory_mb"},
		{400, ERR_INVALID, "No command specified", "\"command\""},
		{400, ERR_INVALID,
		 "failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
		 "process: exec: \"/nope\": stat /nope: no such file or directory: unknown",
		 "correct the task's command"},
		{404, ERR_INVALID, "network nonet not found", "network in gridnode.toml"},
		{400, ERR_INVALID, "Requested CPUs are not available - requested 9, available: 0-1", "fewer CPUs"},
		{409, ERR_STATE, "something in between", "something in between"},
		{500, ERR_IO, "boom", "boom"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		char body[1024];
		struct err err = {0};
		json_t *object = json_pack("{s:s}", "message", CASES[i].message);
		size_t len = json_dumpb(object, body, sizeof(body), 0);
		assert_int_equal(engine_error_from_answer(&err, CASES[i].status, body, len), CASES[i].code);
		assert_int_equal(err.code, CASES[i].code);
		assert_contains(err.text, CASES[i].message);
		assert_contains(err.text, CASES[i].advice);
		json_decref(object);
	}
}

static void test_engine_error_bears_answers_without_a_message(void **state)
{
	(void)state;
	static const char *const BODIES[] = {"", "<html>", "[]", "{}", "{\"message\":1}", "{\"message\":\"\"}"};
	for (size_t i = 0; i < sizeof(BODIES) / sizeof(BODIES[0]); i++) {
		struct err err = {0};
		assert_int_equal(engine_error_from_answer(&err, 500, BODIES[i], strlen(BODIES[i])), ERR_IO);
		assert_string_equal(err.text, "the engine answered with status 500 and no reason");
	}
}

static void test_engine_error_takes_the_cause_of_podman(void **state)
{
	(void)state;
	static const char BODY[] = "{\"cause\":\"no such image\",\"message\":\"\",\"response\":404}";
	struct err err = {0};
	assert_int_equal(engine_error_from_answer(&err, 404, BODY, strlen(BODY)), ERR_NOT_FOUND);
	assert_string_equal(err.text, "no such image");
}

static void test_engine_error_bounds_a_message(void **state)
{
	(void)state;
	char message[4096];
	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	struct err err = {0};
	(void)engine_error_explain(&err, ERR_IO, message);
	assert_int_equal(strlen(err.text), 512);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_error_knows_the_refusals_that_matter),
		cmocka_unit_test(test_engine_error_bears_answers_without_a_message),
		cmocka_unit_test(test_engine_error_takes_the_cause_of_podman),
		cmocka_unit_test(test_engine_error_bounds_a_message),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
