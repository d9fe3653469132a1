/* Protects the second try: a refusal that means a missing feature is told from one that means a bad task. */
#include "node/runtime/engine_features.h"

#include "support.h"

#include <stdlib.h>

static void test_engine_features_are_recognised_in_refusals(void **state)
{
	(void)state;
	/* As Docker 20.10 with runc, and crun, say it. */
	static const struct {
		const char *refusal;
		enum engine_feature feature;
	} CASES[] = {
		{"exec: \"docker-init\": executable file not found in $PATH", ENGINE_INIT},
		{"failed to create shim task: OCI runtime create failed: runc create failed: unable to start container "
		 "process: error during container init: error mounting \"/nonexistent-init\" to rootfs at "
		 "\"/sbin/docker-init\": stat /nonexistent-init: no such file or directory: unknown",
		 ENGINE_INIT},
		{"crun: the requested cgroup controller `cpuset` is not available: OCI runtime error", ENGINE_CPUSET},
		{"the requested cgroup controller `cpu` is not available", ENGINE_CPU_QUOTA},
		{"unable to derive the IP value for host-gateway", ENGINE_HOST_GATEWAY},
		{"exec: \"/nope\": executable file not found in $PATH", ENGINE_FEATURES},
		{"the requested cgroup controller `memory` is not available", ENGINE_FEATURES},
		{"the requested cgroup controller `pids` is not available", ENGINE_FEATURES},
		{"No such image: nope:1", ENGINE_FEATURES},
		{"", ENGINE_FEATURES},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const char *warning = NULL;
		assert_int_equal(engine_features_missing(CASES[i].refusal, &warning), CASES[i].feature);
		assert_true((warning != NULL) == (CASES[i].feature != ENGINE_FEATURES));
	}
}

static const char *read_info(struct engine_features *features, const char *text, bool podman)
{
	json_t *info = json_loads(text, 0, NULL);
	const char *warning = engine_features_read(features, info, podman);
	json_decref(info);
	return warning;
}

static void test_engine_features_are_read_from_info(void **state)
{
	(void)state;
	struct engine_features features;
	assert_null(read_info(&features, "{\"CPUSet\":true,\"CpuCfsQuota\":true}", false));
	for (int i = 0; i < ENGINE_FEATURES; i++)
		assert_false(features.lacks[i]);

	assert_non_null(read_info(&features, "{\"CPUSet\":false,\"CpuCfsQuota\":false}", false));
	assert_true(features.lacks[ENGINE_CPUSET] && features.lacks[ENGINE_CPU_QUOTA]);
	assert_false(features.lacks[ENGINE_INIT]);

	assert_null(read_info(&features, "{}", true));
	assert_true(features.lacks[ENGINE_HOST_GATEWAY] && features.lacks[ENGINE_LOG_OPTIONS]);
	assert_false(features.lacks[ENGINE_CPUSET] || features.lacks[ENGINE_INIT]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_features_are_recognised_in_refusals),
		cmocka_unit_test(test_engine_features_are_read_from_info),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
