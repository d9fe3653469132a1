/* Slots and their task against a scripted runtime on a real loop. */
#include "support.h"

#include "base/log.h"
#include "node/slots.h"
#include "scripted_runtime.h"

#include <stdlib.h>
#include <string.h>

static const struct cpus TWO = {.ids = {0, 1}, .count = 2};

struct world {
	uv_loop_t loop;
	struct runtime runtime;
	struct slots *slots;
	struct leases *leases;
	char *patterns[1];
	struct config_strings allow;
	int emptied;
};

static void on_change(void *context)
{
	(void)context;
}

static void on_empty(void *context)
{
	struct world *world = context;
	world->emptied++;
}

/* A hub that is away. */
static void *start_no_post(void *context, const struct hub_post *post)
{
	(void)context;
	(void)post;
	return NULL;
}

static const struct hub_ops NO_HUB = {.start = start_no_post};

static int setup(void **state)
{
	static char any[] = "*";
	struct world *world = calloc(1, sizeof(*world));
	log_set_level(LOG_LEVEL_ERROR);
	world->patterns[0] = any;
	world->allow = (struct config_strings){.items = world->patterns, .count = 1};
	assert_int_equal(uv_loop_init(&world->loop), 0);
	const struct leases_options leases = {.hub = &NO_HUB};
	world->leases = leases_new(&world->loop, &leases);
	const struct slots_options options = {
		.leases = world->leases,
		.ops = &scripted_runtime,
		.count = 2,
		.cpus = &TWO,
		.platform = "linux/amd64",
		.stop_timeout_ms = 30,
		.memory_mb = 64,
		.memory_max_mb = 100,
		.allow_images = &world->allow,
		.context = world,
		.on_change = on_change,
		.on_empty = on_empty,
	};
	world->slots = slots_new(&world->loop, &options);
	assert_non_null(world->slots);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;
	slots_close(world->slots);
	leases_close(world->leases);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	free(world);
	return 0;
}

static void set_task(struct world *world, const char *name, const char *extra)
{
	char text[512];
	struct task_config task;
	struct err err = {0};
	(void)snprintf(text, sizeof(text), "{\"task_name\":\"%s\",\"image\":\"%s:1\"%s}", name, name, extra);
	json_t *object = json_loads(text, 0, NULL);
	assert_int_equal(task_config_parse(object, &task, &err), 0);
	json_decref(object);
	slots_set_task(world->slots, &task);
	task_config_done(&task);
}

static void on_pause_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void run_for(struct world *world, uint64_t ms)
{
	bool over = false;
	uv_timer_t timer;
	(void)uv_timer_init(&world->loop, &timer);
	timer.data = &over;
	(void)uv_timer_start(&timer, on_pause_over, ms, 0);
	while (!over)
		(void)uv_run(&world->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* Task "a" with both containers running. */
static void run_a(struct world *world)
{
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", "");
	script_image_ready(&world->runtime.images[0]);
	script_started(&world->runtime.workers[0]);
	script_started(&world->runtime.workers[1]);
}

static struct slots_status status_of(const struct world *world)
{
	struct slots_status status;
	slots_status(world->slots, &status);
	return status;
}

static void test_slots_start_all_at_once_when_the_image_is_here(void **state)
{
	struct world *world = *state;
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", "");
	assert_int_equal(world->runtime.image_count, 1);
	assert_int_equal(world->runtime.worker_count, 0);
	script_image_ready(&world->runtime.images[0]);
	assert_int_equal(world->runtime.worker_count, 2);
	assert_string_equal(world->runtime.workers[0].cpus, "0");
	assert_string_equal(world->runtime.workers[1].cpus, "1");
	script_started(&world->runtime.workers[0]);
	assert_int_equal(status_of(world).active, 1);
}

static void test_slots_wait_for_the_engine(void **state)
{
	struct world *world = *state;
	set_task(world, "a", "");
	assert_int_equal(world->runtime.image_count, 0);
	slots_use_runtime(world->slots, &world->runtime, "n");
	assert_int_equal(world->runtime.image_count, 1);
}

static void test_slots_same_task_changes_nothing(void **state)
{
	struct world *world = *state;
	run_a(world);
	set_task(world, "a", "");
	assert_int_equal(world->runtime.workers[0].terminated, 0);
	assert_int_equal(world->runtime.image_count, 1);
}

static void test_slots_switch_each_by_itself(void **state)
{
	struct world *world = *state;
	struct runtime *runtime = &world->runtime;
	run_a(world);
	set_task(world, "b", "");
	assert_int_equal(runtime->workers[0].terminated, 1); /* both at once */
	assert_int_equal(runtime->workers[1].terminated, 1);
	assert_int_equal(runtime->image_count, 2); /* while they still run */
	script_image_ready(&runtime->images[1]);
	assert_int_equal(runtime->worker_count, 2);
	script_exited(&runtime->workers[1], 143);
	assert_int_equal(runtime->workers[1].removed, 1);
	script_removed(&runtime->workers[1]);
	assert_int_equal(runtime->worker_count, 3); /* this slot need not wait for the other */
	assert_string_equal(runtime->workers[2].image, "b:1");
	assert_int_equal(world->emptied, 0);
}

static void test_slots_kill_what_does_not_end_in_time(void **state)
{
	struct world *world = *state;
	run_a(world);
	slots_set_task(world->slots, NULL);
	assert_int_equal(world->runtime.workers[0].killed, 0);
	run_for(world, 60);
	assert_int_equal(world->runtime.workers[0].killed, 1);
	assert_int_equal(world->runtime.workers[1].killed, 1);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(world->emptied, 0);
		script_exited(&world->runtime.workers[i], 137);
		script_removed(&world->runtime.workers[i]);
	}
	assert_int_equal(world->emptied, 1);
	assert_true(slots_are_empty(world->slots));
}

static void test_slots_hurry_kills_at_once_and_only_once(void **state)
{
	struct world *world = *state;
	run_a(world);
	assert_false(slots_hurry(world->slots)); /* nothing is ending */
	slots_set_task(world->slots, NULL);
	assert_true(slots_hurry(world->slots));
	assert_int_equal(world->runtime.workers[0].killed, 1);
	assert_false(slots_hurry(world->slots));
}

static void test_slots_retire_what_is_still_being_created(void **state)
{
	struct world *world = *state;
	struct runtime *runtime = &world->runtime;
	slots_use_runtime(world->slots, runtime, "n");
	set_task(world, "a", "");
	script_image_ready(&runtime->images[0]);
	slots_set_task(world->slots, NULL);
	assert_int_equal(runtime->workers[0].terminated, 1);
	script_start_failed(&runtime->workers[0], ERR_CANCELLED, "never started"); /* the one way it can go */
	script_removed(&runtime->workers[0]);
	script_started(&runtime->workers[1]); /* and the other */
	script_exited(&runtime->workers[1], 143);
	script_removed(&runtime->workers[1]);
	assert_int_equal(world->emptied, 1);
	assert_int_equal(runtime->worker_count, 2);
}

static void test_slots_failure_starts_again_and_is_told(void **state)
{
	struct world *world = *state;
	struct runtime *runtime = &world->runtime;
	run_a(world);
	script_exited(&runtime->workers[0], 3);
	script_removed(&runtime->workers[0]);
	assert_false(status_of(world).failing); /* the other one runs */
	assert_string_equal(status_of(world).error, "exit status 3; its last output: last words");
	script_exited(&runtime->workers[1], 3);
	script_removed(&runtime->workers[1]);
	assert_true(status_of(world).failing);
	assert_int_equal(runtime->worker_count, 2); /* not at once */
	run_for(world, 1100);
	assert_int_equal(runtime->worker_count, 4);
}

static void test_slots_backoff_ends_at_once_on_a_switch(void **state)
{
	struct world *world = *state;
	struct runtime *runtime = &world->runtime;
	run_a(world);
	for (int i = 0; i < 2; i++) {
		script_exited(&runtime->workers[i], 1);
		script_removed(&runtime->workers[i]);
	}
	set_task(world, "b", "");
	script_image_ready(&runtime->images[1]);
	assert_int_equal(runtime->worker_count, 4); /* without a turn of the loop */
}

static void test_slots_backoff_ends_at_once_on_a_stop(void **state)
{
	struct world *world = *state;
	run_a(world);
	for (int i = 0; i < 2; i++) {
		script_exited(&world->runtime.workers[i], 1);
		script_removed(&world->runtime.workers[i]);
	}
	slots_set_task(world->slots, NULL);
	assert_int_equal(world->emptied, 1);
}

static void test_slots_success_is_no_error(void **state)
{
	struct world *world = *state;
	struct runtime *runtime = &world->runtime;
	run_a(world);
	script_exited(&runtime->workers[0], 0);
	script_removed(&runtime->workers[0]);
	assert_null(status_of(world).error);
	run_for(world, 600); /* a container that ends at once waits half a second at most before its second start */
	assert_int_equal(runtime->worker_count, 3);
}

static void test_slots_image_failure_is_an_error_and_the_next_task_recovers(void **state)
{
	struct world *world = *state;
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", "");
	script_image_failed(&world->runtime.images[0], "no such image");
	assert_true(status_of(world).failing);
	assert_string_equal(status_of(world).error, "no such image");
	set_task(world, "b", "");
	script_image_ready(&world->runtime.images[1]);
	assert_false(status_of(world).failing);
	assert_int_equal(world->runtime.worker_count, 2);
}

static void test_slots_image_that_vanished_is_fetched_again(void **state)
{
	struct world *world = *state;
	run_a(world);
	script_exited(&world->runtime.workers[0], 1);
	script_removed(&world->runtime.workers[0]);
	run_for(world, 1100);
	script_start_failed(&world->runtime.workers[2], ERR_NOT_FOUND, "no such image");
	script_removed(&world->runtime.workers[2]);
	assert_int_equal(world->runtime.image_count, 2);
}

static void test_slots_switch_cancels_the_image_call(void **state)
{
	struct world *world = *state;
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", "");
	set_task(world, "b", "");
	assert_true(world->runtime.images[0].cancelled);
	assert_string_equal(world->runtime.images[1].image, "b:1");
}

static void test_slots_owner_refuses_an_image(void **state)
{
	static char own[] = "registry.example/*";
	struct world *world = *state;
	world->patterns[0] = own;
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", "");
	assert_int_equal(world->runtime.image_count, 0); /* nothing is fetched with the owner's credentials */
	assert_true(status_of(world).failing);
	assert_contains(status_of(world).error, "allow_images");
}

static void test_slots_owner_refuses_too_much_memory(void **state)
{
	struct world *world = *state;
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", ",\"memory_mb\":101");
	assert_int_equal(world->runtime.image_count, 0);
	assert_contains(status_of(world).error, "container_memory_max");
}

static void test_slots_owner_refuses_the_network(void **state)
{
	static const char LEASED[] = ",\"task_id\":\"1\",\"delivery\":\"leased\",\"input_queue\":\"q\",\"network\":\"%s\"";
	struct world *world = *state;
	char more[256];
	slots_use_runtime(world->slots, &world->runtime, "n");
	(void)snprintf(more, sizeof(more), LEASED, "outbound");
	set_task(world, "a", more);
	assert_int_equal(world->runtime.image_count, 0);
	assert_contains(status_of(world).error, "allow_network");
	(void)snprintf(more, sizeof(more), LEASED, "none");
	set_task(world, "b", more);
	assert_int_equal(world->runtime.image_count, 1);
	/* In direct delivery the machine's `network` is what counts. */
	set_task(world, "c", ",\"network\":\"outbound\"");
	assert_int_equal(world->runtime.image_count, 2);
}

static void test_slots_go_on_when_the_engine_comes_back(void **state)
{
	struct world *world = *state;
	struct runtime *runtime = &world->runtime;
	run_a(world);
	slots_use_runtime(world->slots, NULL, "n");
	script_exited(&runtime->workers[0], -1);
	script_removed(&runtime->workers[0]);
	slots_use_runtime(world->slots, runtime, "n");
	assert_int_equal(runtime->worker_count, 3); /* the backoff need not be waited for */
	assert_int_equal(runtime->workers[1].terminated, 0);
}

static void test_slots_no_task_and_nothing_running_is_empty(void **state)
{
	struct world *world = *state;
	slots_use_runtime(world->slots, &world->runtime, "n");
	set_task(world, "a", "");
	slots_set_task(world->slots, NULL);
	assert_int_equal(world->emptied, 1);
	slots_set_task(world->slots, NULL);
	assert_int_equal(world->emptied, 1);
}

#define slots_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

/* A runtime without images, in the place of the scripted one. */
static void use_processes(struct world *world, const struct slots_options *options)
{
	slots_close(world->slots);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	world->slots = slots_new(&world->loop, options);
	assert_non_null(world->slots);
	slots_use_runtime(world->slots, &world->runtime, "node");
}

static void test_slots_without_images_need_a_command(void **state)
{
	struct world *world = *state;
	struct runtime_ops ops = scripted_runtime;
	ops.prepare_image = NULL;
	ops.cancel_image = NULL;
	const struct slots_options options = {
		.ops = &ops, .count = 2, .cpus = &TWO, .platform = "linux/amd64", .stop_timeout_ms = 30, .memory_mb = 64,
		.context = world, .on_change = on_change, .on_empty = on_empty};
	struct slots_status status;
	use_processes(world, &options);

	set_task(world, "image-only", "");
	slots_status(world->slots, &status);
	assert_true(status.failing);
	assert_contains(status.error, "no command");
	assert_int_equal(world->runtime.worker_count, 0);

	set_task(world, "a", ",\"command\":[\"run\"]");
	assert_int_equal(world->runtime.worker_count, 2);
	script_start_failed(&world->runtime.workers[0], ERR_NOT_FOUND, "cannot run \"run\"");
	script_removed(&world->runtime.workers[0]);
	script_started(&world->runtime.workers[1]);
	slots_status(world->slots, &status);
	assert_contains(status.error, "cannot run");

	slots_set_task(world->slots, NULL);
	script_exited(&world->runtime.workers[1], 0);
	script_removed(&world->runtime.workers[1]);
	assert_true(slots_are_empty(world->slots));
	slots_close(world->slots);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	const struct slots_options after = {.ops = &scripted_runtime, .count = 1, .cpus = &TWO, .context = world,
					    .on_change = on_change, .on_empty = on_empty};
	world->slots = slots_new(&world->loop, &after); /* for the teardown: it outlives `ops` */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		slots_test(test_slots_start_all_at_once_when_the_image_is_here),
		slots_test(test_slots_wait_for_the_engine),
		slots_test(test_slots_same_task_changes_nothing),
		slots_test(test_slots_switch_each_by_itself),
		slots_test(test_slots_kill_what_does_not_end_in_time),
		slots_test(test_slots_hurry_kills_at_once_and_only_once),
		slots_test(test_slots_retire_what_is_still_being_created),
		slots_test(test_slots_failure_starts_again_and_is_told),
		slots_test(test_slots_backoff_ends_at_once_on_a_switch),
		slots_test(test_slots_backoff_ends_at_once_on_a_stop),
		slots_test(test_slots_success_is_no_error),
		slots_test(test_slots_image_failure_is_an_error_and_the_next_task_recovers),
		slots_test(test_slots_image_that_vanished_is_fetched_again),
		slots_test(test_slots_switch_cancels_the_image_call),
		slots_test(test_slots_owner_refuses_an_image),
		slots_test(test_slots_owner_refuses_too_much_memory),
		slots_test(test_slots_owner_refuses_the_network),
		slots_test(test_slots_go_on_when_the_engine_comes_back),
		slots_test(test_slots_no_task_and_nothing_running_is_empty),
		slots_test(test_slots_without_images_need_a_command),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
