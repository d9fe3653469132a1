/* Protects the durable state: what was put comes back, a newer or damaged state is refused in words, one hub per state. */
#include "hub/store.h"

#include "../support.h"
#include "hub_support.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static const char FULL[] = "{\"name\": \"n\\u00e9\", \"image\": \"i:1\", \"images\": {\"linux/arm64\": \"i:arm\"},"
			   " \"input_redis\": \"redis://:pw@h\", \"output_redis\": \"redis://o\", \"input_queue\": \"in\","
			   " \"output_queue\": \"out\", \"command\": [\"x\", \"y\"], \"env\": {\"A\": \"1\"},"
			   " \"memory_mb\": 64, \"cpus\": 2}";

static void on_task(void *context, struct task *task)
{
	*(struct task **)context = task;
}

static void put_task(struct store *store, const struct task *task)
{
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_task(store, task, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);
}

static void test_store_task_comes_back_as_it_was(void **state)
{
	(void)state;
	struct store *store = open_store();
	struct task task = {.position = 7, .status = TASK_RUNNING, .created_ms = 10, .started_ms = 20, .paused = true};
	random_uuid(task.id);
	task.spec = spec_from(FULL);
	put_task(store, &task);
	store_close(store);

	store = open_store();
	struct task *loaded = NULL;
	assert_int_equal(store_load_tasks(store, on_task, &loaded, NULL), 0);
	assert_non_null(loaded);
	assert_string_equal(loaded->id, task.id);
	assert_int_equal(loaded->position, 7);
	assert_int_equal(loaded->status, TASK_RUNNING);
	assert_int_equal(loaded->created_ms, 10);
	assert_int_equal(loaded->started_ms, 20);
	assert_int_equal(loaded->completed_ms, 0);
	assert_true(loaded->paused);
	assert_false(loaded->purge);
	json_t *before = task_spec_to_json(&task.spec, false);
	json_t *after = task_spec_to_json(&loaded->spec, false);
	assert_true(json_equal(before, after));
	json_decref(before);
	json_decref(after);
	task_free(loaded);
	task_spec_done(&task.spec);
	store_close(store);
}

static void on_node(void *context, struct node *node)
{
	*(struct node **)context = node;
}

static void test_store_node_comes_back_as_it_was(void **state)
{
	(void)state;
	struct store *store = open_store();
	const struct register_message message = {.hostname = "h\xc3\xa9", .architecture = "aarch64", .cpu_count = 4,
						 .run = "r", .agent_version = NULL, .runtime = "docker", .slots = 3, .leases = true, .exec = true};
	struct node *node = calloc(1, sizeof(*node));
	assert_non_null(node);
	assert_true(node_take_registration(node, &message));
	random_uuid(node->id);
	node->stop_requested = true;
	node->draining = true;
	node->registered_ms = 5;
	node->seen_wall_ms = 6;
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_node(store, node, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	store_close(store);

	store = open_store();
	struct node *loaded = NULL;
	assert_int_equal(store_load_nodes(store, on_node, &loaded, NULL), 0);
	assert_non_null(loaded);
	assert_string_equal(loaded->id, node->id);
	assert_string_equal(loaded->hostname, "h\xc3\xa9");
	assert_string_equal(loaded->platform->name, "linux/arm64");
	assert_int_equal(loaded->cpu_count, 4);
	assert_int_equal(loaded->slots, 3);
	assert_string_equal(loaded->run, "r");
	assert_null(loaded->agent_version);
	assert_string_equal(loaded->runtime, "docker");
	assert_true(loaded->stop_requested);
	assert_true(loaded->leases && loaded->exec);
	assert_true(loaded->draining);
	assert_int_equal(loaded->registered_ms, 5);
	assert_int_equal(loaded->seen_wall_ms, 6);
	node_free(loaded);
	node_free(node);
	store_close(store);
}

static void test_store_rollback_takes_everything_back(void **state)
{
	(void)state;
	struct store *store = open_store();
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_number(store, "x", 5, NULL), 0);
	store_rollback(store);
	int64_t value = -1;
	assert_int_equal(store_get_number(store, "x", &value, NULL), 0);
	assert_int_equal(value, 0);
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_number(store, "x", INT64_MIN, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	assert_int_equal(store_get_number(store, "x", &value, NULL), 0);
	assert_int_equal(value, INT64_MIN);
	store_close(store);
}

static void test_store_failed_write_is_told_and_undone(void **state)
{
	(void)state;
	struct store *store = open_store();
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_number(store, "x", 1, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);

	/* No file may grow any more, as on a full disk. */
	struct rlimit limit;
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	const struct rlimit none = {.rlim_cur = 1024, .rlim_max = limit.rlim_max};
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	struct err err = {0};
	int rc = store_begin(store, &err);
	if (!rc)
		rc = store_put_number(store, "x", 2, &err);
	if (!rc)
		rc = store_commit(store, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(rc, ERR_IO);
	assert_contains(err.text, "cannot write the state");
	store_rollback(store);

	int64_t value = 0;
	assert_int_equal(store_get_number(store, "x", &value, NULL), 0);
	assert_int_equal(value, 1);
	assert_int_equal(store_begin(store, NULL), 0);
	assert_int_equal(store_put_number(store, "x", 3, NULL), 0);
	assert_int_equal(store_commit(store, NULL), 0);
	store_close(store);
}

static void test_store_is_for_its_owner_alone(void **state)
{
	(void)state;
	mode_t old = umask(0);
	struct store *store = open_store();
	assert_int_equal(umask(old), 0); /* and the umask is as it was */
	struct task task = {.status = TASK_PENDING, .position = 1};
	random_uuid(task.id);
	task.spec = spec_from(FULL);
	put_task(store, &task);
	static const char *const FILES[] = {"state/computehub.db", "state/computehub.db-wal", "state/computehub.lock"};
	struct stat st;
	assert_int_equal(stat("state", &st), 0);
	assert_int_equal(st.st_mode & 0077, 0);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(stat(FILES[i], &st), 0);
		assert_int_equal(st.st_mode & 0077, 0);
	}
	task_spec_done(&task.spec);
	store_close(store);
}

static void test_store_of_a_newer_hub_is_refused(void **state)
{
	(void)state;
	store_close(open_store());
	run_sql("PRAGMA user_version = 9999");
	struct err err = {0};
	assert_null(store_open("state", &err));
	assert_int_equal(err.code, ERR_INVALID);
	assert_contains(err.text, "newer computehub");
	assert_contains(err.text, "9999");
}

static void test_store_is_locked(void **state)
{
	(void)state;
	struct store *store = open_store();
	struct err err = {0};
	assert_null(store_open("state", &err));
	assert_int_equal(err.code, ERR_EXISTS);
	assert_contains(err.text, "another computehub");
	assert_contains(err.text, "state_dir");
	store_close(store);
	store_close(open_store());
}

static void test_store_damaged_rows_are_named(void **state)
{
	(void)state;
	static const char *const DAMAGES[] = {
		"UPDATE tasks SET spec = '{'",
		"UPDATE tasks SET spec = '{\"name\": 5}'",
		"UPDATE tasks SET spec = '[]'",
		"UPDATE tasks SET status = 'dancing'",
		"UPDATE tasks SET id = 'no-uuid'",
		"UPDATE tasks SET spec = x'00ff'",
	};
	struct task task = {.status = TASK_PENDING, .position = 1};
	task.spec = simple_spec("n");
	for (size_t i = 0; i < sizeof(DAMAGES) / sizeof(DAMAGES[0]); i++) {
		struct store *store = open_store();
		run_sql("DELETE FROM tasks");
		random_uuid(task.id);
		put_task(store, &task);
		run_sql(DAMAGES[i]);
		struct task *loaded = NULL;
		struct err err = {0};
		assert_int_equal(store_load_tasks(store, on_task, &loaded, &err), ERR_INVALID);
		assert_null(loaded);
		assert_contains(err.text, "a task's row is damaged");
		store_close(store);
	}
	task_spec_done(&task.spec);

	struct store *store = open_store();
	run_sql("INSERT INTO nodes (id, hostname, architecture, cpu_count, slots, run, agent_version, runtime, stop_requested, registered_ms, seen_ms) VALUES ('0123456789012345678901234567890123456789012345678901234567890123456789', 'h',"
		" 'x86_64', 1, 1, NULL, NULL, NULL, 0, 0, 0)");
	struct node *node = NULL;
	struct err err = {0};
	assert_int_equal(store_load_nodes(store, on_node, &node, &err), ERR_INVALID);
	assert_null(node);
	assert_contains(err.text, "a node's row is damaged");
	store_close(store);
}

static void test_store_file_that_is_no_database_is_named(void **state)
{
	(void)state;
	assert_int_equal(mkdir("state", 0700), 0);
	write_file("state/computehub.db", "this is a letter to my grandmother, and not a database at all, I am afraid");
	struct err err = {0};
	assert_null(store_open("state", &err));
	assert_contains(err.text, "state/computehub.db");
}

static void test_store_place_that_cannot_be_made_is_named(void **state)
{
	(void)state;
	write_file("file", "");
	struct err err = {0};
	assert_null(store_open("file/state", &err));
	assert_contains(err.text, "file");
}

/* The tables as the first release made them, with what it wrote. */
static const char FIRST_SCHEMA[] =
	"CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE tasks (id TEXT PRIMARY KEY, position INTEGER NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
	" status TEXT NOT NULL, created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" completed_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE nodes (id TEXT PRIMARY KEY, hostname TEXT NOT NULL, architecture TEXT NOT NULL,"
	" cpu_count INTEGER NOT NULL, slots INTEGER NOT NULL, run TEXT, agent_version TEXT, runtime TEXT,"
	" stop_requested INTEGER NOT NULL, registered_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"INSERT INTO numbers VALUES ('task_version', 4711);"
	"INSERT INTO tasks VALUES ('5f0c9a7b-e4d2-4c35-a000-000000000001', 3, 'old', '{\"name\": \"old\", \"image\": \"i\","
	" \"input_queue\": \"in\", \"delivery\": \"direct\"}', 'completed', 10, 20, 30);"
	"INSERT INTO nodes VALUES ('n1', 'host', 'x86_64', 4, 2, 'run', '0.1', 'docker', 0, 5, 6);"
	"PRAGMA user_version = 1;";

static void test_store_of_the_first_release_is_brought_up(void **state)
{
	(void)state;
	store_close(open_store());
	run_sql("DROP TABLE numbers; DROP TABLE tasks; DROP TABLE nodes;");
	run_sql(FIRST_SCHEMA);
	struct store *store = open_store();
	struct task *task = NULL;
	struct node *node = NULL;
	int64_t version = 0;
	assert_int_equal(store_get_number(store, "task_version", &version, NULL), 0);
	assert_int_equal(version, 4711);
	assert_int_equal(store_load_tasks(store, on_task, &task, NULL), 0);
	assert_string_equal(task->spec.name, "old");
	assert_int_equal(task->spec.delivery, DELIVERY_DIRECT); /* nobody's task becomes another silently */
	assert_false(task->settled);
	assert_null(task->progress);
	assert_false(task->paused);
	assert_false(task->purge);
	assert_int_equal(store_load_nodes(store, on_node, &node, NULL), 0);
	assert_string_equal(node->hostname, "host");
	assert_false(node->leases);
	assert_false(node->draining);
	assert_int_equal(node->epoch, 0);
	assert_string_equal(node->secret.hash, "");

	task->settled = true;
	task->purge = true;
	task->status = TASK_CANCELLED;
	task->progress = strdup("{}");
	put_task(store, task);
	task_free(task);
	node_free(node);
	store_close(store);
	assert_int_equal(ask_sql("SELECT settled FROM tasks"), 1);
	assert_int_equal(ask_sql("SELECT purge FROM tasks WHERE status = 'cancelled'"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_store_task_comes_back_as_it_was),
		in_sandbox(test_store_node_comes_back_as_it_was),
		in_sandbox(test_store_rollback_takes_everything_back),
		in_sandbox(test_store_failed_write_is_told_and_undone),
		in_sandbox(test_store_is_for_its_owner_alone),
		in_sandbox(test_store_of_a_newer_hub_is_refused),
		in_sandbox(test_store_of_the_first_release_is_brought_up),
		in_sandbox(test_store_is_locked),
		in_sandbox(test_store_damaged_rows_are_named),
		in_sandbox(test_store_file_that_is_no_database_is_named),
		in_sandbox(test_store_place_that_cannot_be_made_is_named),
	};
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
