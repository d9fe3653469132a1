/* Protects the queue of tasks: its order, that exactly one runs, that a refusal changes nothing, and that a restart finds
 * it as it was. */
#include "hub/tasks.h"

#include "../support.h"
#include "hub_support.h"

#include <stdio.h>
#include <string.h>

static unsigned switches;

static void on_switch(void *context);
static const struct tasks_events EVENTS = {.on_switch = on_switch};

static void on_switch(void *context)
{
	(void)context;
	switches++;
}

struct world {
	struct store *store;
	struct tasks *tasks;
	int64_t now;
};

static struct tasks *load(struct store *store, size_t keep, int64_t now)
{
	struct err err = {0};
	struct tasks *tasks = tasks_load(store, keep, now, &EVENTS, &err);
	if (!tasks)
		fail_msg("%s", err.text);
	return tasks;
}

static struct world begin(size_t keep)
{
	switches = 0;
	struct world world = {.store = open_store(), .now = 1000000};
	world.tasks = load(world.store, keep, world.now);
	return world;
}

static void restart(struct world *world)
{
	tasks_free(world->tasks);
	store_close(world->store);
	world->store = open_store();
	world->tasks = load(world->store, 1000, world->now);
}

static void end(struct world *world)
{
	tasks_free(world->tasks);
	store_close(world->store);
}

static int add(struct world *world, const char *name)
{
	struct task_spec spec = simple_spec(name);
	const struct task *added = NULL;
	struct err err = {0};
	int rc = tasks_add(world->tasks, &spec, ++world->now, &added, &err);
	assert_int_equal(rc == 0, added != NULL);
	assert_int_equal(rc == 0, spec.name == NULL); /* taken over only when it succeeded */
	task_spec_done(&spec);
	return rc;
}

static int next(struct world *world)
{
	const struct task *previous;
	struct err err = {0};
	return tasks_next(world->tasks, ++world->now, &previous, &err);
}

static int finish(struct world *world)
{
	const struct task *completed;
	struct err err = {0};
	return tasks_finish(world->tasks, ++world->now, &completed, &err);
}

/* "running | waiting waiting | completed completed" */
static void assert_queue(const struct world *world, const char *expected)
{
	char text[1024] = "";
	const struct task *running = tasks_current(world->tasks);
	(void)strcat(text, running ? running->spec.name : "-");
	(void)strcat(text, " |");
	for (const struct task *task = tasks_pending(world->tasks); task; task = task->next)
		(void)strcat(strcat(text, " "), task->spec.name);
	(void)strcat(text, " |");
	for (const struct task *task = tasks_completed(world->tasks); task; task = task->next)
		(void)strcat(strcat(text, " "), task->spec.name);
	assert_string_equal(text, expected);
}

static void test_tasks_first_one_runs_at_once_and_the_others_wait_in_order(void **state)
{
	(void)state;
	struct world world = begin(1000);
	assert_queue(&world, "- | |");
	assert_int_equal(add(&world, "a"), 0);
	assert_int_equal(switches, 1);
	assert_int_equal(add(&world, "c"), 0);
	assert_int_equal(add(&world, "b"), 0);
	assert_int_equal(switches, 1);
	assert_queue(&world, "a | c b |");
	const struct task *a = tasks_current(world.tasks);
	assert_int_equal(a->status, TASK_RUNNING);
	assert_int_equal(a->created_ms, a->started_ms);
	assert_int_equal(a->completed_ms, 0);
	assert_int_equal(tasks_pending(world.tasks)->started_ms, 0);
	end(&world);
}

static void test_tasks_next_completes_and_starts(void **state)
{
	(void)state;
	struct world world = begin(1000);
	(void)add(&world, "a");
	(void)add(&world, "b");
	(void)add(&world, "c");
	int64_t version = tasks_version(world.tasks);
	const struct task *previous = NULL;
	assert_int_equal(tasks_next(world.tasks, 2000000, &previous, NULL), 0);
	assert_string_equal(previous->spec.name, "a");
	assert_int_equal(previous->status, TASK_COMPLETED);
	assert_int_equal(previous->completed_ms, 2000000);
	assert_int_equal(tasks_current(world.tasks)->started_ms, 2000000);
	assert_queue(&world, "b | c | a");
	assert_true(tasks_version(world.tasks) > version);
	assert_int_equal(switches, 2);
	end(&world);
}

static void test_tasks_next_without_a_waiting_one_changes_nothing(void **state)
{
	(void)state;
	struct world world = begin(1000);
	assert_int_equal(next(&world), ERR_STATE);
	(void)add(&world, "a");
	int64_t version = tasks_version(world.tasks);
	assert_int_equal(next(&world), ERR_STATE);
	assert_queue(&world, "a | |");
	assert_int_equal(tasks_version(world.tasks), version);
	assert_int_equal(switches, 1);
	end(&world);
}

static void test_tasks_finish_starts_the_next_or_none(void **state)
{
	(void)state;
	struct world world = begin(1000);
	assert_int_equal(finish(&world), ERR_STATE);
	(void)add(&world, "a");
	(void)add(&world, "b");
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "b | | a");
	int64_t version = tasks_version(world.tasks);
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "- | | a b");
	assert_true(tasks_version(world.tasks) > version);
	assert_int_equal(finish(&world), ERR_STATE);
	assert_int_equal(add(&world, "c"), 0); /* starts at once again */
	assert_queue(&world, "c | | a b");
	end(&world);
}

static void test_tasks_names_are_unique_among_running_and_waiting(void **state)
{
	(void)state;
	struct world world = begin(1000);
	(void)add(&world, "a");
	(void)add(&world, "b");
	assert_int_equal(add(&world, "a"), ERR_EXISTS);
	assert_int_equal(add(&world, "b"), ERR_EXISTS);
	assert_queue(&world, "a | b |");
	assert_int_equal(next(&world), 0);
	assert_int_equal(add(&world, "a"), 0); /* its namesake is completed */
	assert_queue(&world, "b | a | a");
	assert_int_equal(tasks_find(world.tasks, "a")->status, TASK_PENDING);
	assert_int_equal(next(&world), 0);
	assert_int_equal(next(&world), ERR_STATE);
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "- | | a b a");
	/* Of completed namesakes the newest is meant. */
	assert_ptr_equal(tasks_find(world.tasks, "a"), tasks_completed(world.tasks)->next->next);
	assert_null(tasks_find(world.tasks, "A"));
	end(&world);
}

static void test_tasks_delete_takes_only_a_waiting_one(void **state)
{
	(void)state;
	struct world world = begin(1000);
	struct err err = {0};
	(void)add(&world, "a");
	(void)add(&world, "b");
	(void)add(&world, "c");
	(void)add(&world, "d");
	assert_int_equal(next(&world), 0);
	assert_int_equal(tasks_delete(world.tasks, "c", &err), 0);
	assert_queue(&world, "b | d | a");
	assert_int_equal(tasks_delete(world.tasks, "a", &err), ERR_EXISTS);
	assert_contains(err.text, "completed");
	assert_int_equal(tasks_delete(world.tasks, "b", &err), ERR_EXISTS);
	assert_contains(err.text, "running");
	assert_int_equal(tasks_delete(world.tasks, "c", &err), ERR_NOT_FOUND);
	assert_queue(&world, "b | d | a");
	restart(&world);
	assert_queue(&world, "b | d | a");
	end(&world);
}

static void test_tasks_restart_finds_everything_as_it_was(void **state)
{
	(void)state;
	struct world world = begin(1000);
	static const char *const NAMES[] = {"z", "y", "x", "w", "v", "u"};
	for (size_t i = 0; i < 6; i++)
		assert_int_equal(add(&world, NAMES[i]), 0);
	assert_int_equal(next(&world), 0);
	assert_int_equal(next(&world), 0);
	assert_queue(&world, "x | w v u | z y");
	char id[UUID_SIZE];
	(void)strcpy(id, tasks_current(world.tasks)->id);
	int64_t version = tasks_version(world.tasks);
	int64_t started = tasks_current(world.tasks)->started_ms;
	restart(&world);
	assert_queue(&world, "x | w v u | z y");
	assert_string_equal(tasks_current(world.tasks)->id, id);
	assert_int_equal(tasks_current(world.tasks)->started_ms, started);
	assert_int_equal(tasks_version(world.tasks), version);
	assert_int_equal(add(&world, "t"), 0);
	restart(&world);
	assert_queue(&world, "x | w v u t | z y");
	end(&world);
}

static void test_tasks_version_grows_even_when_the_clock_goes_back(void **state)
{
	(void)state;
	struct world world = begin(1000);
	int64_t last = tasks_version(world.tasks);
	for (int i = 0; i < 5; i++) {
		char name[8];
		(void)snprintf(name, sizeof(name), "t%d", i);
		assert_int_equal(add(&world, name), 0);
	}
	world.now = 5; /* long before */
	for (int i = 0; i < 5; i++) {
		assert_int_equal(finish(&world), 0);
		assert_true(tasks_version(world.tasks) > last);
		last = tasks_version(world.tasks);
	}
	restart(&world);
	assert_int_equal(tasks_version(world.tasks), last);
	end(&world);
}

static void test_tasks_fresh_state_begins_above_versions_of_a_lost_one(void **state)
{
	(void)state;
	struct world world = begin(1000);
	(void)add(&world, "a");
	int64_t lost = tasks_version(world.tasks);
	end(&world);
	run_sql("DELETE FROM numbers; DELETE FROM tasks;");
	world.store = open_store();
	world.tasks = load(world.store, 1000, world.now + 1000);
	assert_true(tasks_version(world.tasks) > lost);
	end(&world);
}

static void test_tasks_only_the_last_completed_ones_are_kept(void **state)
{
	(void)state;
	struct world world = begin(2);
	static const char *const NAMES[] = {"a", "b", "c", "d", "e"};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(add(&world, NAMES[i]), 0);
	for (int i = 0; i < 4; i++)
		assert_int_equal(finish(&world), 0);
	assert_queue(&world, "e | | c d");
	assert_int_equal(ask_sql("SELECT count(*) FROM tasks"), 3);
	restart(&world);
	assert_queue(&world, "e | | c d");
	end(&world);
}

static void test_tasks_fewer_are_kept_after_a_change_of_the_configuration(void **state)
{
	(void)state;
	struct world world = begin(1000);
	static const char *const NAMES[] = {"a", "b", "c", "d", "e"};
	for (size_t i = 0; i < 5; i++)
		assert_int_equal(add(&world, NAMES[i]), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(finish(&world), 0);
	tasks_free(world.tasks);
	world.tasks = load(world.store, 2, world.now);
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "e | | c d");
	end(&world);
}

static void test_tasks_refused_write_changes_nothing(void **state)
{
	(void)state;
	struct world world = begin(1);
	(void)add(&world, "a");
	(void)add(&world, "b");
	(void)add(&world, "c");
	assert_int_equal(next(&world), 0);
	assert_queue(&world, "b | c | a");
	int64_t version = tasks_version(world.tasks);
	unsigned switches_before = switches;

	forbid_writes();
	assert_int_equal(add(&world, "d"), ERR_IO);
	assert_int_equal(next(&world), ERR_IO);
	assert_int_equal(finish(&world), ERR_IO);
	assert_int_equal(tasks_delete(world.tasks, "c", NULL), ERR_IO);
	assert_queue(&world, "b | c | a");
	assert_int_equal(tasks_version(world.tasks), version);
	assert_int_equal(switches, switches_before);
	assert_int_equal(tasks_current(world.tasks)->status, TASK_RUNNING);
	assert_int_equal(tasks_current(world.tasks)->completed_ms, 0);

	allow_writes(); /* and no transaction was left open */
	restart(&world);
	assert_queue(&world, "b | c | a");
	assert_int_equal(add(&world, "d"), 0);
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "c | d | a b");
	end(&world);
}

static void test_tasks_refused_first_write_starts_nothing(void **state)
{
	(void)state;
	struct world world = begin(1000);
	int64_t version = tasks_version(world.tasks);
	forbid_writes();
	assert_int_equal(add(&world, "a"), ERR_IO);
	assert_queue(&world, "- | |");
	assert_int_equal(tasks_version(world.tasks), version);
	assert_int_equal(switches, 0);
	allow_writes();
	assert_int_equal(add(&world, "a"), 0);
	assert_queue(&world, "a | |");
	end(&world);
}

static void test_tasks_damaged_state_with_two_running_is_no_crash(void **state)
{
	(void)state;
	struct world world = begin(1000);
	(void)add(&world, "a");
	(void)add(&world, "b");
	end(&world);
	run_sql("UPDATE tasks SET status = 'running', started_ms = 5");
	world.store = open_store();
	struct err err = {0};
	world.tasks = tasks_load(world.store, 1000, world.now, &EVENTS, &err);
	if (!world.tasks)
		assert_contains(err.text, "damaged");
	tasks_free(world.tasks);
	store_close(world.store);
}

/* ---- what others are told, and a leased task's end ---- */

static char told[256];

static void tell(const char *what, const struct task *task)
{
	size_t len = strlen(told);
	(void)snprintf(told + len, sizeof(told) - len, "%s %s%s%s; ", what, task ? task->spec.name : "", task ? " " : "",
		       task ? task_status_name(task->status) : "");
}

static void tell_switch(void *context)
{
	(void)context;
	tell("switch", NULL);
}

static void tell_change(void *context, const struct task *task)
{
	(void)context;
	tell("change", task);
}

static void tell_forget(void *context, const struct task *task)
{
	(void)context;
	tell("forget", task);
}

static struct world begin_told(size_t keep)
{
	static const struct tasks_events events = {.on_switch = tell_switch, .on_change = tell_change, .on_forget = tell_forget};
	struct world world = {.store = open_store(), .now = 1000000};
	struct err err = {0};
	world.tasks = tasks_load(world.store, keep, world.now, &events, &err);
	assert_non_null(world.tasks);
	told[0] = '\0';
	return world;
}

static void assert_told(const char *expected)
{
	assert_string_equal(told, expected);
	told[0] = '\0';
}

static void add_leased(struct world *world, const char *name)
{
	char json[128];
	const struct task *added = NULL;
	(void)snprintf(json, sizeof(json), "{\"name\": \"%s\", \"image\": \"i\", \"input_queue\": \"q\"}", name);
	struct task_spec spec = spec_from(json);
	assert_int_equal(tasks_add(world->tasks, &spec, ++world->now, &added, NULL), 0);
	task_spec_done(&spec);
}

static int settle(struct world *world, const char *name, const char *progress)
{
	struct err err = {0};
	const struct task *task = tasks_find(world->tasks, name);
	return tasks_settle(world->tasks, task ? task->id : "nobody", strdup(progress), &err);
}

static void test_tasks_tell_each_change_after_it_happened(void **state)
{
	(void)state;
	struct world world = begin_told(1);
	add(&world, "a");
	assert_told("change a running; switch ; ");
	add(&world, "b");
	assert_told("change b pending; ");
	assert_int_equal(next(&world), 0);
	assert_told("change a completed; change b running; switch ; ");
	assert_int_equal(finish(&world), 0);
	assert_told("forget a completed; change b completed; switch ; ");
	add(&world, "c");
	add(&world, "d");
	told[0] = '\0';
	assert_int_equal(tasks_delete(world.tasks, "d", NULL), 0);
	assert_told("forget d pending; ");
	end(&world);
}

static void test_tasks_settled_one_keeps_its_last_numbers(void **state)
{
	(void)state;
	struct world world = begin_told(1000);
	add_leased(&world, "a");
	assert_int_equal(settle(&world, "a", "{}"), ERR_NOT_FOUND); /* it runs */
	assert_int_equal(finish(&world), 0);
	assert_false(tasks_find(world.tasks, "a")->settled);
	assert_int_equal(settle(&world, "a", "{\"done\":5}"), 0);
	assert_int_equal(settle(&world, "nobody", "{}"), ERR_NOT_FOUND);
	restart(&world);
	const struct task *task = tasks_find(world.tasks, "a");
	assert_true(task->settled);
	assert_string_equal(task->progress, "{\"done\":5}");
	assert_contains(task->details, "\"progress\":{\"done\":5}");
	end(&world);
}

static void test_tasks_with_items_out_are_not_forgotten(void **state)
{
	(void)state;
	struct world world = begin_told(1);
	add_leased(&world, "out");
	add(&world, "b");
	add(&world, "c");
	assert_int_equal(finish(&world), 0);
	assert_int_equal(finish(&world), 0);
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "- | | out c");
	assert_int_equal(settle(&world, "out", "{}"), 0);
	add(&world, "d");
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "- | | d");
	restart(&world);
	assert_queue(&world, "- | | d");
	end(&world);
}

static int cancel(struct world *world, const char *name, bool purge)
{
	const struct task *cancelled;
	struct err err = {0};
	return tasks_cancel(world->tasks, name, purge, ++world->now, &cancelled, &err);
}

static int set_paused(struct world *world, const char *name, bool paused)
{
	const struct task *task;
	struct err err = {0};
	return tasks_set_paused(world->tasks, name, paused, &task, &err);
}

static void test_tasks_finish_by_name_is_for_the_running_one_alone(void **state)
{
	(void)state;
	struct world world = begin(1000);
	const struct task *completed = NULL;
	struct err err = {0};
	add(&world, "a");
	add(&world, "b");
	assert_int_equal(tasks_finish_named(world.tasks, "nobody", 5, &completed, &err), ERR_NOT_FOUND);
	assert_int_equal(tasks_finish_named(world.tasks, "b", 5, &completed, &err), ERR_STATE);
	assert_contains(err.text, "\"b\" is waiting");
	assert_queue(&world, "a | b |");
	assert_int_equal(tasks_finish_named(world.tasks, "a", ++world.now, &completed, &err), 0);
	assert_string_equal(completed->spec.name, "a");
	assert_queue(&world, "b | | a");
	assert_int_equal(tasks_finish_named(world.tasks, "a", 5, &completed, &err), ERR_STATE);
	assert_contains(err.text, "\"a\" is completed");
	assert_queue(&world, "b | | a");
	end(&world);
}

static void test_tasks_cancelled_running_one_makes_room_for_the_next(void **state)
{
	(void)state;
	struct world world = begin_told(1000);
	add_leased(&world, "a");
	add(&world, "b");
	int64_t version = tasks_version(world.tasks);
	told[0] = '\0';
	assert_int_equal(cancel(&world, "nobody", false), ERR_NOT_FOUND);
	assert_int_equal(cancel(&world, "a", false), 0);
	assert_told("change a cancelled; change b running; switch ; ");
	assert_queue(&world, "b | | a");
	assert_true(tasks_version(world.tasks) > version);
	const struct task *a = tasks_find(world.tasks, "a");
	assert_int_equal(a->status, TASK_CANCELLED);
	assert_true(a->completed_ms > 0);
	assert_false(a->settled); /* its items are out */
	assert_contains(a->details, "\"status\":\"cancelled\"");
	assert_int_equal(cancel(&world, "a", false), ERR_STATE);
	restart(&world);
	assert_queue(&world, "b | | a");
	assert_int_equal(tasks_find(world.tasks, "a")->status, TASK_CANCELLED);
	assert_int_equal(settle(&world, "a", "{}"), 0);
	add(&world, "a"); /* its name is free */
	end(&world);
}

static void test_tasks_cancelled_waiting_one_never_runs(void **state)
{
	(void)state;
	struct world world = begin_told(2);
	add(&world, "a");
	add_leased(&world, "b");
	add(&world, "c");
	int64_t version = tasks_version(world.tasks);
	told[0] = '\0';
	assert_int_equal(cancel(&world, "b", false), 0);
	assert_told("change b cancelled; ");
	assert_queue(&world, "a | c | b");
	assert_int_equal(tasks_version(world.tasks), version); /* no node needs to know */
	assert_true(tasks_find(world.tasks, "b")->settled);     /* nothing of it was ever out */
	assert_int_equal(tasks_find(world.tasks, "b")->started_ms, 0);
	restart(&world);
	assert_queue(&world, "a | c | b");
	assert_int_equal(cancel(&world, "c", false), 0);
	add(&world, "d");
	assert_int_equal(cancel(&world, "d", false), 0);
	assert_int_equal(next(&world), ERR_STATE);
	end(&world);
}

static void test_tasks_to_be_purged_are_settled_after_that_only(void **state)
{
	(void)state;
	struct world world = begin_told(1);
	add_leased(&world, "ran");
	add_leased(&world, "waited");
	add(&world, "b");
	assert_int_equal(cancel(&world, "waited", true), 0);
	assert_int_equal(cancel(&world, "ran", true), 0);
	assert_int_equal(finish(&world), 0);
	assert_queue(&world, "- | | waited ran b"); /* more than are kept, since both are still to be purged */
	restart(&world);
	static const char *const NAMES[] = {"ran", "waited"};
	for (size_t i = 0; i < 2; i++) {
		const struct task *task = tasks_find(world.tasks, NAMES[i]);
		assert_true(task->purge);
		assert_false(task->settled);
		assert_contains(task->details, "\"purge\":true");
		assert_int_equal(settle(&world, NAMES[i], "{}"), 0);
	}
	restart(&world);
	assert_true(tasks_find(world.tasks, "ran")->settled);
	end(&world);
}

static void test_tasks_pause_is_for_the_running_leased_one_and_survives(void **state)
{
	(void)state;
	struct world world = begin_told(1000);
	add_leased(&world, "a");
	add_leased(&world, "b");
	told[0] = '\0';
	assert_int_equal(set_paused(&world, "nobody", true), ERR_NOT_FOUND);
	assert_int_equal(set_paused(&world, "b", true), ERR_STATE);
	assert_int_equal(set_paused(&world, "a", true), 0);
	assert_told("change a running; ");
	assert_int_equal(set_paused(&world, "a", true), 0);
	assert_told(""); /* it is so already */
	assert_contains(tasks_find(world.tasks, "a")->details, "\"paused\":true");
	restart(&world);
	assert_true(tasks_current(world.tasks)->paused);
	assert_int_equal(set_paused(&world, "a", false), 0);
	assert_int_equal(set_paused(&world, "a", true), 0);
	assert_int_equal(finish(&world), 0);
	assert_false(tasks_find(world.tasks, "a")->paused);
	assert_int_equal(set_paused(&world, "a", false), ERR_STATE);
	assert_false(tasks_current(world.tasks)->paused);
	assert_int_equal(finish(&world), 0);
	struct task_spec spec = spec_from("{\"name\": \"direct\", \"image\": \"i\", \"delivery\": \"direct\"}");
	const struct task *added = NULL;
	assert_int_equal(tasks_add(world.tasks, &spec, ++world.now, &added, NULL), 0);
	assert_int_equal(set_paused(&world, "direct", true), ERR_INVALID);
	end(&world);
}

static void test_tasks_refused_write_cancels_and_pauses_nothing(void **state)
{
	(void)state;
	struct world world = begin_told(1000);
	add_leased(&world, "a");
	add_leased(&world, "b");
	told[0] = '\0';
	forbid_writes();
	assert_int_equal(cancel(&world, "a", true), ERR_IO);
	assert_int_equal(cancel(&world, "b", true), ERR_IO);
	assert_int_equal(set_paused(&world, "a", true), ERR_IO);
	allow_writes();
	assert_queue(&world, "a | b |");
	assert_told("");
	assert_false(tasks_current(world.tasks)->paused || tasks_current(world.tasks)->purge);
	assert_int_equal(cancel(&world, "a", false), 0);
	end(&world);
}

static void test_tasks_failures_are_bounded_over_all_tasks(void **state)
{
	(void)state;
	struct world world = begin_told(1000);
	const struct failure failure = {.item = "x", .item_len = 1, .item_bytes = 1, .error = "{\"reason\": \"r\"}", .attempts = 1};
	for (int i = 0; i < 102; i++) {
		char name[16];
		(void)snprintf(name, sizeof(name), "t%d", i);
		add_leased(&world, name);
		for (int k = 0; k < 150; k++)
			tasks_note_failure(world.tasks, tasks_find(world.tasks, name), &failure, 1);
		assert_int_equal(json_array_size(tasks_find(world.tasks, name)->failures), FAILURES_KEPT);
		assert_int_equal(finish(&world), 0);
		assert_int_equal(settle(&world, name, "{}"), 0);
	}
	assert_null(tasks_find(world.tasks, "t0")->failures); /* 10,000 in all: the oldest tasks' went */
	assert_null(tasks_find(world.tasks, "t1")->failures);
	assert_int_equal(json_array_size(tasks_find(world.tasks, "t2")->failures), FAILURES_KEPT);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_tasks_first_one_runs_at_once_and_the_others_wait_in_order),
		in_sandbox(test_tasks_next_completes_and_starts),
		in_sandbox(test_tasks_next_without_a_waiting_one_changes_nothing),
		in_sandbox(test_tasks_finish_starts_the_next_or_none),
		in_sandbox(test_tasks_names_are_unique_among_running_and_waiting),
		in_sandbox(test_tasks_delete_takes_only_a_waiting_one),
		in_sandbox(test_tasks_restart_finds_everything_as_it_was),
		in_sandbox(test_tasks_version_grows_even_when_the_clock_goes_back),
		in_sandbox(test_tasks_fresh_state_begins_above_versions_of_a_lost_one),
		in_sandbox(test_tasks_only_the_last_completed_ones_are_kept),
		in_sandbox(test_tasks_fewer_are_kept_after_a_change_of_the_configuration),
		in_sandbox(test_tasks_refused_write_changes_nothing),
		in_sandbox(test_tasks_refused_first_write_starts_nothing),
		in_sandbox(test_tasks_tell_each_change_after_it_happened),
		in_sandbox(test_tasks_settled_one_keeps_its_last_numbers),
		in_sandbox(test_tasks_with_items_out_are_not_forgotten),
		in_sandbox(test_tasks_finish_by_name_is_for_the_running_one_alone),
		in_sandbox(test_tasks_cancelled_running_one_makes_room_for_the_next),
		in_sandbox(test_tasks_cancelled_waiting_one_never_runs),
		in_sandbox(test_tasks_to_be_purged_are_settled_after_that_only),
		in_sandbox(test_tasks_pause_is_for_the_running_leased_one_and_survives),
		in_sandbox(test_tasks_refused_write_cancels_and_pauses_nothing),
		in_sandbox(test_tasks_failures_are_bounded_over_all_tasks),
		in_sandbox(test_tasks_damaged_state_with_two_running_is_no_crash),
	};
	return cmocka_run_group_tests_name("tasks", tests, NULL, NULL);
}
