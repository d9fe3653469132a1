/* Protects the sandbox: what exactly an engine is told to let a worker have, and what is left out where it cannot. */
#include "node/runtime/container_spec.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>

static const char *const ENVIRONMENT[] = {"TASK_NAME=t", "X=a b", NULL};
static const char *const LABELS[] = {"idm-gridcore.node", "n1", NULL};
static const char *const CAPABILITIES[] = {"CHOWN", "KILL", NULL};

static const struct worker_spec SPEC = {
	.name = "idm-t-n-0",
	.image = "app:1",
	.platform = "linux/amd64",
	.env = ENVIRONMENT,
	.labels = LABELS,
	.cpus = "2,3",
	.cpu_count = 2,
	.memory_mb = 64,
};

static const struct runtime_options OPTIONS = {
	.network = "bridge",
	.pids_max = 100,
	.capabilities = CAPABILITIES,
	.no_new_privileges = true,
};

static void assert_body(json_t *body, const char *expected_text)
{
	json_error_t error;
	json_t *expected = json_loads(expected_text, 0, &error);
	assert_non_null(expected);
	char *got = json_dumps(body, JSON_SORT_KEYS | JSON_INDENT(1));
	char *want = json_dumps(expected, JSON_SORT_KEYS | JSON_INDENT(1));
	assert_string_equal(got, want);
	free(got);
	free(want);
	json_decref(expected);
	json_decref(body);
}

static void test_container_spec_is_the_whole_sandbox(void **state)
{
	(void)state;
	json_t *command = json_pack("[s, s, s]", "run", "-x", "a b");
	struct worker_spec spec = SPEC;
	spec.command = command;
	assert_body(container_spec_body(&spec, "app:1", &OPTIONS, NULL),
		    "{\"Image\":\"app:1\",\"Entrypoint\":[\"run\"],\"Cmd\":[\"-x\",\"a b\"],"
		    "\"Env\":[\"TASK_NAME=t\",\"X=a b\"],\"Labels\":{\"idm-gridcore.node\":\"n1\"},"
		    "\"HostConfig\":{\"Init\":true,\"CpusetCpus\":\"2,3\",\"NanoCpus\":2000000000,"
		    "\"Memory\":67108864,\"MemorySwap\":67108864,\"PidsLimit\":100,\"NetworkMode\":\"bridge\","
		    "\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"CHOWN\",\"KILL\"],\"SecurityOpt\":[\"no-new-privileges\"],"
		    "\"ExtraHosts\":[\"host.docker.internal:host-gateway\"],"
		    "\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"1\"}}}}");
	assert_int_equal(json_array_size(command), 3); /* the caller's is left as it was */
	json_decref(command);
}

static void test_container_spec_runs_gridexec_in_the_place_of_the_image(void **state)
{
	(void)state;
	json_t *body = container_spec_body(&SPEC, "app:1", &OPTIONS, NULL);
	assert_int_equal(container_spec_run_exec(body, "/run/x/gridexec"), 0);
	assert_body(body,
		    "{\"Image\":\"app:1\",\"Entrypoint\":[\"/idm/gridexec\"],\"Cmd\":[],"
		    "\"Env\":[\"TASK_NAME=t\",\"X=a b\"],\"Labels\":{\"idm-gridcore.node\":\"n1\"},"
		    "\"HostConfig\":{\"Init\":false,\"CpusetCpus\":\"2,3\",\"NanoCpus\":2000000000,"
		    "\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/run/x/gridexec\",\"Target\":\"/idm/gridexec\","
		    "\"ReadOnly\":true}],"
		    "\"Memory\":67108864,\"MemorySwap\":67108864,\"PidsLimit\":100,\"NetworkMode\":\"bridge\","
		    "\"CapDrop\":[\"ALL\"],\"CapAdd\":[\"CHOWN\",\"KILL\"],\"SecurityOpt\":[\"no-new-privileges\"],"
		    "\"ExtraHosts\":[\"host.docker.internal:host-gateway\"],"
		    "\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"1m\",\"max-file\":\"1\"}}}}");
}

static void test_container_spec_leaves_the_image_its_command(void **state)
{
	(void)state;
	json_t *empty = json_array();
	const json_t *const commands[] = {NULL, empty};
	for (size_t i = 0; i < 2; i++) {
		struct worker_spec spec = SPEC;
		spec.command = commands[i];
		json_t *body = container_spec_body(&spec, "app:1", &OPTIONS, NULL);
		assert_null(json_object_get(body, "Entrypoint"));
		assert_null(json_object_get(body, "Cmd"));
		json_decref(body);
	}
	json_decref(empty);
}

static void test_container_spec_names_the_host_only_behind_a_bridge(void **state)
{
	(void)state;
	static const struct {
		const char *network;
		bool named;
	} CASES[] = {{"bridge", true}, {"mine", true}, {"", true}, {"host", false}, {"none", false}, {"container:x", false}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct runtime_options options = OPTIONS;
		options.network = CASES[i].network;
		json_t *body = container_spec_body(&SPEC, "app:1", &options, NULL);
		json_t *host = json_object_get(body, "HostConfig");
		assert_int_equal(json_object_get(host, "ExtraHosts") != NULL, CASES[i].named);
		assert_string_equal(json_string_value(json_object_get(host, "NetworkMode")),
				    CASES[i].network[0] ? CASES[i].network : "bridge");
		json_decref(body);
	}
}

static void test_container_spec_leaves_out_what_the_owner_lifts(void **state)
{
	(void)state;
	const struct runtime_options options = {.network = "none"};
	json_t *body = container_spec_body(&SPEC, "app:1", &options, NULL);
	json_t *host = json_object_get(body, "HostConfig");
	assert_null(json_object_get(host, "PidsLimit"));
	assert_null(json_object_get(host, "SecurityOpt"));
	assert_int_equal(json_array_size(json_object_get(host, "CapAdd")), 0);
	assert_int_equal(json_array_size(json_object_get(host, "CapDrop")), 1);
	json_decref(body);
}

static void test_container_spec_strips_what_the_engine_lacks(void **state)
{
	(void)state;
	static const char *const FIELDS[ENGINE_FEATURES] = {"Init", "CpusetCpus", "NanoCpus", "ExtraHosts", "LogConfig"};
	for (int i = 0; i < ENGINE_FEATURES; i++) {
		struct engine_features features = {0};
		features.lacks[i] = true;
		json_t *body = container_spec_body(&SPEC, "app:1", &OPTIONS, NULL);
		json_t *host = json_object_get(body, "HostConfig");
		size_t before = json_object_size(host);
		assert_true(container_spec_asks_for(body, (enum engine_feature)i));
		container_spec_strip(body, &features);
		assert_null(json_object_get(host, FIELDS[i]));
		assert_int_equal(json_object_size(host), before - 1);
		assert_false(container_spec_asks_for(body, (enum engine_feature)i));
		json_decref(body);
	}
}

static void test_container_spec_refuses_the_impossible(void **state)
{
	(void)state;
	static const char *const BAD[] = {"X=\xff", NULL};
	struct worker_spec spec = SPEC;
	struct err err = {0};
	spec.env = BAD;
	assert_null(container_spec_body(&spec, "app:1", &OPTIONS, &err));
	assert_int_equal(err.code, ERR_INVALID);
	spec = SPEC;
	spec.memory_mb = INT64_MAX;
	assert_null(container_spec_body(&spec, "app:1", &OPTIONS, &err));
	spec.memory_mb = -1;
	assert_null(container_spec_body(&spec, "app:1", &OPTIONS, &err));
}

static void test_container_spec_survives_the_lack_of_memory(void **state)
{
	(void)state;
	json_t *command = json_pack("[s, s]", "run", "-x");
	struct worker_spec spec = SPEC;
	spec.command = command;
	unsigned n = 0;
	bool made;
	do {
		fault_arm(++n);
		json_t *body = container_spec_body(&spec, "app:1", &OPTIONS, NULL);
		made = body != NULL;
		json_decref(body);
	} while (fault_disarm());
	assert_true(made && n > 30);
	json_decref(command);
}

static void test_container_spec_of_a_place_is_the_narrowest_sandbox(void **state)
{
	(void)state;
	const struct place_spec place = {.name = "g", .labels = LABELS};
	assert_body(container_spec_place_body(&place, "pause:1", "/run/x", &OPTIONS, NULL),
		    "{\"Image\":\"pause:1\",\"Entrypoint\":[\"/pause\"],\"User\":\"65534:65534\","
		    "\"Labels\":{\"idm-gridcore.node\":\"n1\",\"idm-gridcore.place\":\"1\"},"
		    "\"HostConfig\":{\"NetworkMode\":\"none\",\"CapDrop\":[\"ALL\"],\"ReadonlyRootfs\":true,"
		    "\"SecurityOpt\":[\"no-new-privileges\"],\"Memory\":16777216,\"MemorySwap\":16777216,"
		    "\"PidsLimit\":32,\"IpcMode\":\"private\",\"Mounts\":[{\"Type\":\"bind\",\"Source\":\"/run/x\","
		    "\"Target\":\"/gate\",\"ReadOnly\":true}],"
		    "\"LogConfig\":{\"Type\":\"json-file\",\"Config\":{\"max-size\":\"64k\",\"max-file\":\"1\"}}}}");
}

static void assert_network(json_t *body, const char *expected)
{
	assert_non_null(body);
	const json_t *host = json_object_get(body, "HostConfig");
	assert_string_equal(json_string_value(json_object_get(host, "NetworkMode")), expected);
	assert_null(json_object_get(host, "ExtraHosts"));
	json_decref(body);
}

static void test_container_spec_of_a_place_goes_out_only_by_a_bridge(void **state)
{
	(void)state;
	const struct place_spec place = {.name = "g", .labels = LABELS, .outbound = true};
	static const struct {
		const char *network;
		const char *expected;
	} CASES[] = {{"bridge", "bridge"}, {"own", "own"}, {"host", "bridge"}, {"none", "bridge"},
		     {"container:x", "bridge"}, {"", "bridge"}, {NULL, "bridge"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct runtime_options options = OPTIONS;
		options.network = CASES[i].network;
		assert_network(container_spec_place_body(&place, "pause:1", "/run/x", &options, NULL),
			       CASES[i].expected);
	}
}

static void test_container_spec_shares_a_places_network_and_no_other(void **state)
{
	(void)state;
	json_t *body = container_spec_body(&SPEC, "app:1", &OPTIONS, NULL);
	assert_int_equal(container_spec_share_network(body, "abc"), 0);
	assert_network(body, "container:abc");
}

static void test_container_spec_of_a_place_survives_no_memory(void **state)
{
	(void)state;
	const struct place_spec place = {.name = "g", .labels = LABELS};
	unsigned n = 0;
	json_t *body;
	do {
		struct err err = {0};
		fault_arm(++n);
		body = container_spec_place_body(&place, "pause:1", "/run/x", &OPTIONS, &err);
		assert_true(body || err.code);
		json_decref(body);
	} while (fault_disarm());
	assert_non_null(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_container_spec_is_the_whole_sandbox),
		cmocka_unit_test(test_container_spec_runs_gridexec_in_the_place_of_the_image),
		cmocka_unit_test(test_container_spec_leaves_the_image_its_command),
		cmocka_unit_test(test_container_spec_names_the_host_only_behind_a_bridge),
		cmocka_unit_test(test_container_spec_leaves_out_what_the_owner_lifts),
		cmocka_unit_test(test_container_spec_strips_what_the_engine_lacks),
		cmocka_unit_test(test_container_spec_refuses_the_impossible),
		cmocka_unit_test(test_container_spec_survives_the_lack_of_memory),
		cmocka_unit_test(test_container_spec_of_a_place_is_the_narrowest_sandbox),
		cmocka_unit_test(test_container_spec_of_a_place_goes_out_only_by_a_bridge),
		cmocka_unit_test(test_container_spec_shares_a_places_network_and_no_other),
		cmocka_unit_test(test_container_spec_of_a_place_survives_no_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
