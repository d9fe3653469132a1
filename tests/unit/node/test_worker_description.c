#include "support.h"

#include "node/worker_description.h"

#include <string.h>

static const struct cpus TWO = {.ids = {3, 5}, .count = 2};

static void parse(const char *text, struct task_config *task)
{
	struct err err = {0};
	json_t *object = json_loads(text, 0, NULL);
	assert_non_null(object);
	assert_int_equal(task_config_parse(object, task, &err), 0);
	json_decref(object);
}

static const char *env_of(const struct worker_spec *spec, const char *name)
{
	const char *found = NULL;
	size_t len = strlen(name);
	for (const char *const *entry = spec->env; *entry; entry++) {
		if (strncmp(*entry, name, len) == 0 && (*entry)[len] == '=') {
			assert_null(found); /* once */
			found = *entry + len + 1;
		}
	}
	return found;
}

static void test_worker_description_has_the_seeds_environment(void **state)
{
	(void)state;
	struct task_config task;
	struct err err = {0};
	parse("{\"task_name\":\"t 1\",\"image\":\"i:1\",\"input_redis\":\"redis://a\",\"input_queue\":\"q\","
	      "\"env\":{\"MODE\":\"fast\",\"NODE_ID\":\"forged\"},\"memory_mb\":77}",
	      &task);
	const struct worker_home home = {
		.node_id = "node-1", .instance = 1, .platform = "linux/amd64", .cpus = &TWO, .memory_mb = 77};
	struct worker_description *description = worker_description_new(&task, &home, &err);
	assert_non_null(description);
	const struct worker_spec *spec = worker_description_spec(description);
	assert_string_equal(env_of(spec, "TASK_NAME"), "t 1");
	assert_string_equal(env_of(spec, "NODE_ID"), "node-1"); /* a task cannot forge it */
	assert_string_equal(env_of(spec, "INSTANCE_ID"), "1");
	assert_string_equal(env_of(spec, "INPUT_REDIS_URL"), "redis://a");
	assert_string_equal(env_of(spec, "OUTPUT_REDIS_URL"), "redis://a"); /* the input's, where the task names none */
	assert_string_equal(env_of(spec, "INPUT_QUEUE"), "q");
	assert_null(env_of(spec, "OUTPUT_QUEUE"));
	assert_string_equal(env_of(spec, "MODE"), "fast");
	assert_string_equal(spec->name, "idm-t-1-node-1-1");
	assert_string_equal(spec->cpus, "5");
	assert_int_equal(spec->cpu_count, 1);
	assert_int_equal(spec->memory_mb, 77);
	assert_string_equal(spec->labels[0], LABEL_NODE);
	assert_string_equal(spec->labels[1], "node-1");
	worker_description_free(description);
	task_config_done(&task);
}

static void test_worker_name_is_safe_for_engines(void **state)
{
	(void)state;
	char name[256];
	char long_task[200];
	worker_name("水/ a;b", "n", 0, name, sizeof(name));
	for (const char *c = name; *c; c++)
		assert_non_null(strchr("abcdefghijklmnopqrstuvwxyz0123456789-._", *c));
	memset(long_task, 'x', sizeof(long_task) - 1);
	long_task[sizeof(long_task) - 1] = '\0';
	worker_name(long_task, "0123456789abcdef0123456789abcdef01234567", 4095, name, sizeof(name));
	assert_true(strlen(name) < 128);
	assert_string_equal(name + strlen(name) - 5, "-4095"); /* what tells slots apart is never cut off */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_worker_description_has_the_seeds_environment),
		cmocka_unit_test(test_worker_name_is_safe_for_engines),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
