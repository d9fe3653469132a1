/* Protects other people's containers (only all of the owner's labels make one ours), and the log from repeated
 * warnings. */
#include "node/runtime/engine_host.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static const char *const LABELS[] = {"idm-gridcore.node", "n1", "x", "y", NULL};

static void open_host(struct engine_host *host)
{
	const struct runtime_options options = {.network = "bridge", .owner_labels = LABELS};
	assert_int_equal(engine_host_init(host, NULL, &options, NULL), 0);
}

static void test_engine_host_owns_only_what_has_all_its_labels(void **state)
{
	(void)state;
	static const struct {
		const char *labels;
		bool ours;
	} CASES[] = {
		{"{\"idm-gridcore.node\":\"n1\",\"x\":\"y\"}", true},
		{"{\"idm-gridcore.node\":\"n1\",\"x\":\"y\",\"more\":\"z\"}", true},
		{"{\"idm-gridcore.node\":\"n2\",\"x\":\"y\"}", false},
		{"{\"idm-gridcore.node\":\"n1\"}", false},
		{"{\"idm-gridcore.node\":1,\"x\":\"y\"}", false},
		{"{}", false},
	};
	struct engine_host host;
	open_host(&host);
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		json_t *labels = json_loads(CASES[i].labels, 0, NULL);
		assert_int_equal(engine_host_owns(&host, labels), CASES[i].ours);
		json_decref(labels);
	}
	assert_false(engine_host_owns(&host, NULL));
	engine_host_done(&host);
}

static void test_engine_host_needs_labels(void **state)
{
	(void)state;
	static const char *const NONE[] = {NULL};
	struct engine_host host;
	struct err err = {0};
	const struct runtime_options options = {.owner_labels = NONE};
	assert_int_equal(engine_host_init(&host, NULL, &options, &err), ERR_INVALID);
	assert_contains(err.text, "labels");
	engine_host_done(&host);
}

static void test_engine_host_filters_by_labels_and_event(void **state)
{
	(void)state;
	struct engine_host host;
	open_host(&host);
	char *filter = engine_host_filter(&host, NULL);
	assert_string_equal(filter, "{\"label\":[\"idm-gridcore.node=n1\",\"x=y\"]}");
	free(filter);
	filter = engine_host_filter(&host, (const char *const[]){"oom", "kill", NULL});
	assert_string_equal(filter, "{\"label\":[\"idm-gridcore.node=n1\",\"x=y\"],\"type\":[\"container\"],"
				    "\"event\":[\"oom\",\"kill\"]}");
	free(filter);
	engine_host_done(&host);
}

static void test_engine_host_warns_once_of_each_thing(void **state)
{
	(void)state;
	struct engine_host host;
	open_host(&host);
	capture_begin();
	for (int i = 0; i < 3; i++) {
		engine_host_warn(&host, "thing %d", 1);
		engine_host_warn(&host, "thing %d", 2);
	}
	char *log = capture_end();
	char *first = strstr(log, "runtime: thing 1");
	assert_non_null(first);
	assert_non_null(strstr(log, "runtime: thing 2"));
	assert_null(strstr(first + strlen("runtime: thing 1"), "thing 1"));
	free(log);

	capture_begin();
	for (int i = 0; i < 2 * ENGINE_WARNINGS_MAX; i++)
		engine_host_warn(&host, "number %d", i);
	free(capture_end());
	assert_int_equal(host.warned_count, ENGINE_WARNINGS_MAX);
	engine_host_done(&host);
}

static void test_engine_host_survives_the_lack_of_memory(void **state)
{
	(void)state;
	static const char *const CAPABILITIES[] = {"CHOWN", "KILL", NULL};
	const struct runtime_options options = {
		.engine_host = "/x", .network = "bridge", .capabilities = CAPABILITIES, .owner_labels = LABELS};
	unsigned n = 0;
	int rc;
	do {
		struct engine_host host;
		fault_arm(++n);
		rc = engine_host_init(&host, NULL, &options, NULL);
		engine_host_done(&host);
	} while (fault_disarm());
	assert_int_equal(rc, 0);
	assert_true(n > 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_host_owns_only_what_has_all_its_labels),
		cmocka_unit_test(test_engine_host_needs_labels),
		cmocka_unit_test(test_engine_host_filters_by_labels_and_event),
		in_sandbox(test_engine_host_warns_once_of_each_thing),
		cmocka_unit_test(test_engine_host_survives_the_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
