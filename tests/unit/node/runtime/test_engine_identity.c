/* Protects the choice of the API version: the highest that both sides know, and clear words where there is none. */
#include "node/runtime/engine_identity.h"

#include "support.h"

static int read_identity(struct engine_identity *identity, const char *answer, struct err *err)
{
	json_t *object = json_loads(answer, 0, NULL);
	assert_non_null(object);
	int rc = engine_identity_read(identity, object, err);
	json_decref(object);
	return rc;
}

static void test_engine_identity_speaks_the_lower_of_both(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *product, *version, *api;
	} CASES[] = {
		{"{\"Version\":\"20.10.24\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.12\",\"Os\":\"linux\","
		 "\"Components\":[{\"Name\":\"Engine\"}]}",
		 "Docker Engine", "20.10.24", "1.41"},
		{"{\"Version\":\"29.0.1\",\"ApiVersion\":\"1.52\",\"MinAPIVersion\":\"1.44\",\"Os\":\"linux\"}",
		 "Docker Engine", "29.0.1", "1.47"},
		{"{\"Version\":\"4.3.1\",\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"1.24\",\"Os\":\"linux\","
		 "\"Components\":[{\"Name\":\"Podman Engine\"},{\"Name\":\"Conmon\"}]}",
		 "Podman Engine", "4.3.1", "1.41"},
		{"{\"ApiVersion\":\"1.40\"}", "Docker Engine", "", "1.40"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct engine_identity identity;
		assert_int_equal(read_identity(&identity, CASES[i].answer, NULL), 0);
		assert_string_equal(identity.product, CASES[i].product);
		assert_string_equal(identity.version, CASES[i].version);
		assert_string_equal(identity.api, CASES[i].api);
		assert_int_equal(identity.podman, CASES[i].product[0] == 'P');
	}
}

static void test_engine_identity_refuses_with_a_reason(void **state)
{
	(void)state;
	static const struct {
		const char *answer, *reason;
	} CASES[] = {
		{"{\"ApiVersion\":\"1.39\",\"Version\":\"18.09\"}", "update the engine"},
		{"{\"ApiVersion\":\"1.60\",\"MinAPIVersion\":\"1.50\"}", "update gridnode"},
		{"{\"ApiVersion\":\"1.41\",\"Os\":\"windows\"}", "Linux containers"},
		{"{}", "not a container engine"},
		{"{\"ApiVersion\":\"one\"}", "not a container engine"},
		{"{\"ApiVersion\":\"2.0\"}", "not a container engine"},
		{"{\"ApiVersion\":\"1.41\",\"MinAPIVersion\":\"x\"}", "not a container engine"},
		{"{\"ApiVersion\":1.41}", "not a container engine"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct engine_identity identity;
		struct err err = {0};
		assert_int_equal(read_identity(&identity, CASES[i].answer, &err), ERR_PROTOCOL);
		assert_contains(err.text, CASES[i].reason);
	}
	struct engine_identity identity;
	assert_int_equal(engine_identity_read(&identity, NULL, NULL), ERR_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_identity_speaks_the_lower_of_both),
		cmocka_unit_test(test_engine_identity_refuses_with_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
