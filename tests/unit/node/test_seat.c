/* A slot with its seat at the gateway, leased: places, drains, ends. The runtime and the hub are scripted, the worker is a
 * connection of the test's own to the place's listener. */
#include "support.h"

#include "base/buf.h"
#include "base/log.h"
#include "net/listen.h"
#include "net/resp.h"
#include "node/slots.h"
#include "scripted_hub.h"
#include "scripted_runtime.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { STOP_TIMEOUT_MS = 1000, LEASED_KILL_MS = 5000, PATIENCE_MS = 5000 };

static const struct cpus ONE = {.ids = {0}, .count = 1};

struct world {
	uv_loop_t loop;
	struct runtime runtime;
	struct scripted_hub hub;
	struct slots *slots;
	struct leases *leases;
	char *patterns[1];
	struct config_strings allow;
	unsigned port; /* of the last place that listens */
	int worker_fd; /* -1: not connected */
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

static void ignore_superseded(void *context, bool accepted)
{
	(void)context;
	(void)accepted;
}

static void ignore(void *context)
{
	(void)context;
}

static void ignore_news(void *context, int64_t version, bool stop_requested)
{
	(void)context;
	(void)version;
	(void)stop_requested;
}

static int setup(void **state)
{
	static char any[] = "*";
	struct world *world = calloc(1, sizeof(*world));
	log_set_level(LOG_LEVEL_ERROR);
	world->worker_fd = -1;
	world->patterns[0] = any;
	world->allow = (struct config_strings){.items = world->patterns, .count = 1};
	assert_int_equal(uv_loop_init(&world->loop), 0);
	const struct leases_options leases = {.hub = &SCRIPTED_HUB,
					      .hub_context = &world->hub,
					      .context = world,
					      .on_superseded = ignore_superseded,
					      .on_unknown = ignore,
					      .on_news = ignore_news,
					      .on_left = ignore};
	world->leases = leases_new(&world->loop, &leases);
	leases_identify(world->leases, "n", 7);
	const struct slots_options options = {
		.leases = world->leases,
		.ops = &scripted_runtime_with_places,
		.count = 1,
		.cpus = &ONE,
		.platform = "linux/amd64",
		.stop_timeout_ms = STOP_TIMEOUT_MS,
		.memory_mb = 64,
		.allow_images = &world->allow,
		.context = world,
		.on_change = on_change,
		.on_empty = on_empty,
	};
	world->slots = slots_new(&world->loop, &options);
	slots_use_runtime(world->slots, &world->runtime, "n");
	*state = world;
	return 0;
}

/* The loop's end, whatever the seat is in the middle of: nothing may be left, nothing may be told. */
static int teardown(void **state)
{
	struct world *world = *state;
	int emptied = world->emptied;
	slots_close(world->slots);
	leases_close(world->leases);
	(void)uv_run(&world->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	assert_int_equal(world->emptied, emptied);
	if (world->worker_fd >= 0)
		(void)close(world->worker_fd);
	hub_done(&world->hub);
	free(world);
	return 0;
}

/* ---- time ---- */

static void on_pause_over(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void run_for(struct world *world, uint64_t ms)
{
	bool over = false;
	uv_timer_t timer;
	(void)uv_timer_init(&world->loop, &timer);
	uv_update_time(&world->loop);
	timer.data = &over;
	(void)uv_timer_start(&timer, on_pause_over, ms, 0);
	while (!over) {
		(void)uv_run(&world->loop, UV_RUN_ONCE);
		while (hub_run(&world->hub))
			(void)uv_run(&world->loop, UV_RUN_NOWAIT);
	}
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

/* Until the counter says so, or patience ends: the caller's next assertion tells which. */
static void run_until(struct world *world, const int *counter, int wanted)
{
	for (int ms = 0; ms < PATIENCE_MS && *counter < wanted; ms += 5)
		run_for(world, 5);
}

static void run_until_workers(struct world *world, size_t wanted)
{
	for (int ms = 0; ms < PATIENCE_MS && world->runtime.worker_count < wanted; ms += 5)
		run_for(world, 5);
}

static void run_until_places(struct world *world, size_t wanted)
{
	for (int ms = 0; ms < PATIENCE_MS && world->runtime.place_count < wanted; ms += 5)
		run_for(world, 5);
}

/* ---- the task, its place, its worker ---- */

static void set_task(struct world *world, const char *name, const char *extra)
{
	char text[512];
	struct task_config task;
	struct err err = {0};
	(void)snprintf(text, sizeof(text), "{\"task_name\":\"%s\",\"task_id\":\"%s\",\"image\":\"%s:1\"%s}", name, name, name, extra);
	json_t *object = json_loads(text, 0, NULL);
	assert_int_equal(task_config_parse(object, &task, &err), 0);
	json_decref(object);
	slots_set_task(world->slots, &task);
	task_config_done(&task);
}

static struct image_call *last_image(struct world *world)
{
	return &world->runtime.images[world->runtime.image_count - 1];
}

static struct place *last_place(struct world *world)
{
	return &world->runtime.places[world->runtime.place_count - 1];
}

static struct worker *last_worker(struct world *world)
{
	return &world->runtime.workers[world->runtime.worker_count - 1];
}

#define LEASED ",\"delivery\":\"leased\",\"input_queue\":\"in\",\"output_queue\":\"out\""

static void set_leased(struct world *world, const char *name)
{
	set_task(world, name, LEASED);
	script_image_ready(last_image(world));
}

static void listen_in_place(struct world *world)
{
	struct err err = {0};
	int fd = listen_open("127.0.0.1:0", &err);
	assert_true(fd >= 0);
	world->port = listen_port(fd);
	script_place_listening(last_place(world), fd);
}

static void run_leased(struct world *world, const char *name)
{
	set_leased(world, name);
	listen_in_place(world);
	script_started(last_worker(world));
}

/* It exits, and the runtime removes it. */
static void end_worker(struct worker *worker, int status)
{
	script_exited(worker, status);
	script_removed(worker);
}

/* The engine is done with it; the service goes in the loop's next turn. */
static void remove_place(struct world *world, struct place *place)
{
	script_place_closed(place);
	(void)uv_run(&world->loop, UV_RUN_NOWAIT);
}

static struct slots_status status_of(const struct world *world)
{
	struct slots_status status;
	slots_status(world->slots, &status);
	return status;
}

/* ---- what the worker says and hears ---- */

static void say(struct world *world, size_t count, const char *const *words)
{
	struct buf bytes;
	buf_init(&bytes, 4096);
	assert_int_equal(resp_add_command(&bytes, count, words, NULL), 0);
	assert_int_equal(send(world->worker_fd, bytes.data, bytes.len, MSG_NOSIGNAL), (ssize_t)bytes.len);
	buf_done(&bytes);
}

#define SAY(world, ...) \
	say(world, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *), (const char *const[]){__VA_ARGS__})

static void hear(struct world *world, const char *expected)
{
	char got[256] = "";
	size_t len = 0;
	for (int ms = 0; ms < PATIENCE_MS && len < strlen(expected); ms += 2) {
		run_for(world, 2);
		ssize_t count = recv(world->worker_fd, got + len, sizeof(got) - 1 - len, MSG_DONTWAIT);
		len += count > 0 ? (size_t)count : 0;
		got[len] = '\0';
	}
	assert_string_equal(got, expected);
}

static void connect_worker(struct world *world)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
					    .sin_port = htons((uint16_t)world->port),
					    .sin_addr = {htonl(INADDR_LOOPBACK)}};
	char password[128] = "";
	const char *url = last_worker(world)->url;
	assert_int_equal(sscanf(url, "redis://:%127[^@]@", password), 1);
	if (world->worker_fd >= 0)
		(void)close(world->worker_fd);
	world->worker_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(connect(world->worker_fd, (const struct sockaddr *)&address, sizeof(address)), 0);
	SAY(world, "AUTH", password);
	hear(world, "+OK\r\n");
}

/* Connects, and has this item open. */
static void pop(struct world *world, const char *item)
{
	char expected[256];
	connect_worker(world);
	hub_push(&world->hub, item);
	SAY(world, "BRPOP", "in", "0");
	(void)snprintf(expected, sizeof(expected), "*2\r\n$2\r\nin\r\n$%zu\r\n%s\r\n", strlen(item), item);
	hear(world, expected);
}

/* ---- places ---- */

static void test_seat_starts_the_worker_in_its_place_when_that_listens(void **state)
{
	struct world *world = *state;
	set_leased(world, "a");
	assert_int_equal(world->runtime.place_count, 1);
	run_for(world, 20);
	assert_int_equal(world->runtime.worker_count, 0);
	listen_in_place(world);
	assert_int_equal(world->runtime.worker_count, 1);
	assert_ptr_equal(last_worker(world)->place, last_place(world));
	assert_contains(last_worker(world)->url, "@127.0.0.1:6379/0");
	assert_false(last_place(world)->outbound);
}

static void test_seat_keeps_its_place_over_workers_and_changes_the_password(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	end_worker(last_worker(world), 3);
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.worker_count, 2);
	assert_int_equal(world->runtime.place_count, 1);
	assert_string_not_equal(world->runtime.workers[0].url, world->runtime.workers[1].url);
	script_started(last_worker(world));
	connect_worker(world); /* the listener is the place's, not the worker's */
}

static void test_seat_takes_another_worker_after_one_that_could_not_even_be_created(void **state)
{
	struct world *world = *state;
	world->runtime.refuse_start = true;
	set_leased(world, "a");
	listen_in_place(world);
	assert_int_equal(world->runtime.worker_count, 0);
	assert_true(status_of(world).failing);
	world->runtime.refuse_start = false;
	run_until_workers(world, 1);
	assert_int_equal(world->runtime.worker_count, 1);
	assert_int_equal(world->runtime.place_count, 1);
}

static void test_seat_place_that_cannot_begin_is_told_and_tried_again(void **state)
{
	struct world *world = *state;
	world->runtime.refuse_place = true;
	set_leased(world, "a");
	assert_true(status_of(world).failing);
	assert_string_equal(status_of(world).error, "refused by the script");
	world->runtime.refuse_place = false;
	run_until_places(world, 1);
	assert_int_equal(world->runtime.place_count, 1);
}

static void test_seat_place_lost_while_opening_is_told_and_another_is_opened(void **state)
{
	struct world *world = *state;
	set_leased(world, "a");
	script_place_lost(&world->runtime.places[0], "no loopback");
	assert_int_equal(world->runtime.places[0].closed, 1);
	run_for(world, 1200);
	assert_int_equal(world->runtime.place_count, 1); /* the old one is not gone yet, and has the name */
	remove_place(world, &world->runtime.places[0]);
	assert_true(status_of(world).failing);
	assert_string_equal(status_of(world).error, "no loopback");
	assert_int_equal(world->runtime.place_count, 1); /* not at once */
	run_until_places(world, 2);
	listen_in_place(world);
	script_started(last_worker(world));
	assert_false(status_of(world).failing);
}

static void test_seat_place_lost_while_running_kills_and_opens_another(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	struct place *place = &world->runtime.places[0];
	run_leased(world, "a");
	pop(world, "x");
	script_place_lost(place, "the pause program is gone");
	assert_int_equal(worker->killed, 1);
	assert_int_equal(worker->terminated, 0);
	assert_int_equal(place->closed, 0); /* a worker is in it */
	script_exited(worker, 137);
	assert_int_equal(place->closed, 0);
	script_removed(worker);
	assert_int_equal(place->closed, 1);
	run_for(world, 20);
	assert_contains(world->hub.log, "return x"); /* nobody's fault but the place's */
	remove_place(world, place);
	assert_string_equal(status_of(world).error, "the pause program is gone");
	run_until_places(world, 2);
	assert_int_equal(world->runtime.place_count, 2);
	listen_in_place(world);
	assert_ptr_equal(last_worker(world)->place, &world->runtime.places[1]);
}

static void test_seat_place_lost_while_creating_kills(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	set_leased(world, "a");
	listen_in_place(world);
	script_place_lost(last_place(world), "gone");
	assert_int_equal(worker->killed, 1);
	script_started(worker); /* too late to be stopped */
	assert_int_equal(last_place(world)->closed, 0);
	end_worker(worker, 137);
	assert_int_equal(last_place(world)->closed, 1);
	remove_place(world, last_place(world));
	run_until_places(world, 2);
	assert_int_equal(world->runtime.place_count, 2);
}

static void test_seat_place_lost_while_creating_and_the_worker_never_starts(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	set_leased(world, "a");
	listen_in_place(world);
	script_place_lost(last_place(world), "gone");
	script_start_failed(worker, ERR_CANCELLED, "never started");
	assert_int_equal(last_place(world)->closed, 0);
	script_removed(worker);
	assert_int_equal(last_place(world)->closed, 1);
	remove_place(world, last_place(world));
	assert_string_equal(status_of(world).error, "gone"); /* the cause, not what came of it */
}

static void test_seat_place_lost_while_draining_kills(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	struct place *place = &world->runtime.places[0];
	run_leased(world, "a");
	pop(world, "x");
	set_leased(world, "b");
	assert_int_equal(worker->terminated, 0);
	script_place_lost(place, "gone");
	assert_int_equal(worker->killed, 1);
	run_for(world, STOP_TIMEOUT_MS + 100);
	assert_int_equal(worker->terminated, 0); /* the drain's timer is off */
	assert_int_equal(worker->removed, 0);
	end_worker(worker, 137);
	run_for(world, 20);
	assert_contains(world->hub.log, "return x");
	assert_int_equal(place->closed, 1);
	assert_int_equal(world->runtime.place_count, 1);
	remove_place(world, place);
	assert_int_equal(world->runtime.place_count, 2); /* b's, at once: its slot has not failed */
	assert_null(status_of(world).error);
}

static void test_seat_place_lost_while_stopping_kills(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	slots_set_task(world->slots, NULL);
	run_until(world, &worker->terminated, 1);
	assert_int_equal(worker->killed, 0);
	script_place_lost(last_place(world), "gone");
	assert_int_equal(worker->killed, 1);
}

static void test_seat_place_lost_while_removing_is_closed_after_that(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	script_exited(worker, 3);
	script_place_lost(last_place(world), "gone");
	assert_int_equal(worker->killed, 0);
	assert_int_equal(last_place(world)->closed, 0);
	script_removed(worker);
	assert_int_equal(last_place(world)->closed, 1);
}

/* ---- draining ---- */

static void test_seat_drains_an_idle_worker_without_waiting(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	slots_set_task(world->slots, NULL);
	assert_int_equal(worker->terminated, 0); /* from the loop's next turn on */
	run_for(world, STOP_TIMEOUT_MS / 4);
	assert_int_equal(worker->terminated, 1);
	assert_int_equal(worker->killed, 0);
}

static void test_seat_drains_until_the_open_item_is_done(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	pop(world, "x");
	slots_set_task(world->slots, NULL);
	run_for(world, STOP_TIMEOUT_MS / 4);
	assert_int_equal(worker->terminated, 0);
	assert_int_equal(status_of(world).active, 1);
	SAY(world, "LPUSH", "out", "rx");
	hear(world, ":1\r\n");
	hub_push(&world->hub, "y");
	SAY(world, "BRPOP", "in", "0"); /* closes x, and gets nothing */
	run_until(world, &worker->terminated, 1);
	assert_int_equal(worker->terminated, 1);
	assert_string_equal(world->hub.log, "done x: LPUSH out rx\n");
	char byte;
	assert_int_equal(recv(world->worker_fd, &byte, 1, MSG_DONTWAIT), -1);
}

static void test_seat_drain_ends_at_stop_timeout_and_the_item_returns(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	pop(world, "x");
	slots_set_task(world->slots, NULL);
	SAY(world, "LPUSH", "out", "half");
	run_for(world, STOP_TIMEOUT_MS / 2);
	assert_int_equal(worker->terminated, 0);
	run_until(world, &worker->terminated, 1);
	assert_int_equal(worker->terminated, 1);
	end_worker(worker, 0); /* it heard the signal: its end says nothing about x */
	run_for(world, 20);
	assert_string_equal(world->hub.log, "return x\n");
	assert_int_equal(world->emptied, 0); /* the place is still there */
	assert_false(slots_are_empty(world->slots));
	remove_place(world, last_place(world));
	assert_int_equal(world->emptied, 1);
}

static void test_seat_worker_that_exits_while_draining_closes_its_item(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	pop(world, "x");
	slots_set_task(world->slots, NULL);
	SAY(world, "LPUSH", "out", "rx");
	hear(world, ":1\r\n");
	end_worker(worker, 0); /* by itself: no signal was sent */
	run_for(world, 20);
	assert_string_equal(world->hub.log, "done x: LPUSH out rx\n");
	assert_int_equal(worker->terminated, 0);
}

static void test_seat_kills_five_seconds_after_sigterm(void **state)
{
	struct world *world = *state;
	struct worker *worker = &world->runtime.workers[0];
	run_leased(world, "a");
	pop(world, "x");
	slots_set_task(world->slots, NULL);
	run_until(world, &worker->terminated, 1);
	run_for(world, LEASED_KILL_MS * 6 / 10);
	assert_int_equal(worker->killed, 0); /* stop_timeout was the time to finish the item, and is over */
	run_until(world, &worker->killed, 1);
	assert_int_equal(worker->killed, 1);
	assert_int_equal(worker->terminated, 1);
	end_worker(worker, 137);
	run_for(world, 20);
	assert_string_equal(world->hub.log, "return x\n");
}

static void test_seat_hurry_ends_a_drain(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	pop(world, "x");
	slots_set_task(world->slots, NULL);
	assert_true(slots_hurry(world->slots));
	assert_int_equal(last_worker(world)->killed, 1);
	run_for(world, STOP_TIMEOUT_MS + 100);
	assert_int_equal(last_worker(world)->terminated, 0);
}

/* ---- how a worker ended ---- */

static void expect_end(struct world *world, int status, bool out_of_memory, bool stopped_by_other, const char *expected)
{
	struct worker *worker = last_worker(world);
	const struct worker_exit result = {
		.status = status, .out_of_memory = out_of_memory, .stopped_by_other = stopped_by_other, .log_tail = ""};
	pop(world, "x");
	SAY(world, "LPUSH", "out", "rx");
	hear(world, ":1\r\n");
	worker->events.on_exit(worker->events.context, &result);
	run_for(world, 20);
	assert_string_equal(world->hub.log, expected);
	script_removed(worker);
}

static void test_seat_exit_0_is_done(void **state)
{
	run_leased(*state, "a");
	expect_end(*state, 0, false, false, "done x: LPUSH out rx\n");
}

static void test_seat_exit_3_is_a_failure(void **state)
{
	run_leased(*state, "a");
	expect_end(*state, 3, false, false, "fail x exit\n");
}

static void test_seat_exit_0_out_of_memory_is_a_failure(void **state)
{
	run_leased(*state, "a");
	expect_end(*state, 0, true, false, "fail x exit\n");
}

static void test_seat_end_by_somebody_else_returns(void **state)
{
	run_leased(*state, "a");
	expect_end(*state, 143, false, true, "return x\n");
}

static void test_seat_unknown_end_returns(void **state)
{
	run_leased(*state, "a");
	expect_end(*state, -1, false, false, "return x\n");
}

static void test_seat_item_timeout_kills_and_fails(void **state)
{
	struct world *world = *state;
	set_task(world, "a", LEASED ",\"item_timeout\":1");
	script_image_ready(last_image(world));
	listen_in_place(world);
	script_started(last_worker(world));
	pop(world, "x");
	run_until(world, &last_worker(world)->killed, 1);
	assert_int_equal(last_worker(world)->killed, 1);
	end_worker(last_worker(world), 137);
	assert_contains(status_of(world).error, "item_timeout"); /* until the next one starts, which is at once */
	run_for(world, 20);
	assert_contains(world->hub.log, "fail x item_timeout");
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.place_count, 1);
}

/* ---- exit 0, and what then ---- */

/* The hub has said that nothing is there, and the worker went. */
static void find_nothing_and_exit(struct world *world)
{
	connect_worker(world);
	SAY(world, "RPOP", "in");
	hear(world, "$-1\r\n");
	end_worker(last_worker(world), 0);
}

static void test_seat_worker_that_exits_0_is_started_again_only_when_there_are_items(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	find_nothing_and_exit(world);
	run_for(world, 1200); /* the pause after a quick end is half a second at most */
	assert_int_equal(world->runtime.worker_count, 1);
	assert_false(status_of(world).failing);
	assert_null(status_of(world).error);
	hub_push(&world->hub, "x");
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.worker_count, 2);
	script_started(last_worker(world));
	connect_worker(world);
	SAY(world, "RPOP", "in");
	hear(world, "$1\r\nx\r\n"); /* the look at it did not use it up */
}

static void test_seat_that_waits_for_items_waits_on_when_the_engine_was_away(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	find_nothing_and_exit(world);
	run_for(world, 1200);
	for (int i = 0; i < 2; i++) {
		slots_use_runtime(world->slots, NULL, "n");
		slots_use_runtime(world->slots, &world->runtime, "n");
	}
	run_for(world, 50);
	assert_int_equal(world->runtime.worker_count, 1);
	hub_push(&world->hub, "x");
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.worker_count, 2);
}

static void test_seat_worker_that_exits_0_is_started_again_while_there_are_items(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	pop(world, "x");
	hub_push(&world->hub, "y");
	end_worker(last_worker(world), 0);
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.worker_count, 2);
}

static void test_seat_worker_that_fails_is_started_again_without_items(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	connect_worker(world);
	SAY(world, "RPOP", "in");
	hear(world, "$-1\r\n");
	end_worker(last_worker(world), 3);
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.worker_count, 2);
}

static void on_no_items(struct item_want *want, struct item_list *items)
{
	(void)want;
	assert_int_equal(items->count, 0);
}

/* As another slot's worker would learn it: the hub says that nothing waits. */
static void learn_that_nothing_waits(struct world *world, const char *task_id)
{
	struct task_config task = {.task_id = task_id};
	struct leased_task *leased = leases_take(world->leases, &task);
	struct item_pool *pool = leased_task_pool(leased);
	struct item_taker taker = {0};
	struct item_want want = {.taker = &taker, .min = 1, .max = 1, .on_items = on_no_items};
	item_pool_attach(pool, &taker);
	item_pool_want(pool, &want);
	run_for(world, 100);
	assert_int_equal(item_pool_count(pool), 0);
	item_pool_unwant(pool, &want);
	item_pool_detach(pool, &taker);
	leased_task_release(leased);
}

static void test_seat_that_waits_for_items_lets_go_at_a_switch(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	find_nothing_and_exit(world);
	run_for(world, 1200);
	set_leased(world, "b");
	assert_int_equal(world->runtime.places[0].closed, 1);
	remove_place(world, &world->runtime.places[0]);
	assert_int_equal(world->runtime.place_count, 2);
	learn_that_nothing_waits(world, "b");
	listen_in_place(world);
	assert_int_equal(world->runtime.worker_count, 2); /* another task's first worker need not wait for items */
}

static void test_seat_that_waits_for_items_and_loses_its_place_opens_another(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	find_nothing_and_exit(world);
	run_for(world, 1200);
	script_place_lost(&world->runtime.places[0], "gone");
	assert_int_equal(world->runtime.places[0].closed, 1);
	remove_place(world, &world->runtime.places[0]);
	run_until_places(world, 2);
	assert_int_equal(world->runtime.place_count, 2);
	listen_in_place(world);
	run_for(world, 50);
	assert_int_equal(world->runtime.worker_count, 1); /* there are no items still */
	hub_push(&world->hub, "x");
	run_until_workers(world, 2);
	assert_int_equal(world->runtime.worker_count, 2);
}

/* ---- switches ---- */

static void test_seat_switch_while_the_place_is_opening(void **state)
{
	struct world *world = *state;
	struct place *first = &world->runtime.places[0];
	set_leased(world, "a");
	set_leased(world, "b");
	assert_int_equal(first->closed, 1);
	assert_int_equal(world->runtime.place_count, 1); /* one at a time: they share the slot */
	remove_place(world, first);
	assert_int_equal(world->runtime.place_count, 2);
	assert_contains(last_place(world)->name, "-b-");
	listen_in_place(world);
	assert_int_equal(world->runtime.worker_count, 1);
	assert_string_equal(last_worker(world)->image, "b:1");
	assert_int_equal(world->emptied, 0);
}

static void test_seat_switch_while_opening_to_a_direct_task_starts_at_once(void **state)
{
	struct world *world = *state;
	set_leased(world, "a");
	set_task(world, "b", "");
	script_image_ready(last_image(world));
	assert_int_equal(world->runtime.worker_count, 1);
	assert_null(last_worker(world)->place);
	assert_string_equal(last_worker(world)->url, "");
	script_started(last_worker(world));
	remove_place(world, &world->runtime.places[0]);
	assert_int_equal(last_worker(world)->killed, 0);
	assert_int_equal(world->runtime.worker_count, 1);
}

static void test_seat_close_while_closing_asks_once(void **state)
{
	struct world *world = *state;
	struct place *first = &world->runtime.places[0];
	set_leased(world, "a");
	set_leased(world, "b");
	set_leased(world, "c");
	slots_set_task(world->slots, NULL);
	assert_int_equal(first->closed, 1);
	assert_int_equal(world->emptied, 0);
	assert_false(slots_are_empty(world->slots));
	remove_place(world, first);
	assert_int_equal(world->emptied, 1);
	assert_true(slots_are_empty(world->slots));
	assert_int_equal(world->runtime.place_count, 1);
	assert_int_equal(world->runtime.worker_count, 0);
}

static void test_seat_same_task_again_while_closing_gets_a_place_of_its_own(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	slots_set_task(world->slots, NULL);
	run_until(world, &last_worker(world)->terminated, 1);
	set_leased(world, "a");
	end_worker(last_worker(world), 143);
	assert_int_equal(world->runtime.places[0].closed, 1);
	remove_place(world, &world->runtime.places[0]);
	assert_int_equal(world->runtime.place_count, 2);
	listen_in_place(world);
	assert_int_equal(world->runtime.worker_count, 2);
}

static void test_seat_switch_after_the_place_was_lost_has_no_trouble(void **state)
{
	struct world *world = *state;
	set_leased(world, "a");
	script_place_lost(&world->runtime.places[0], "gone");
	set_leased(world, "b");
	remove_place(world, &world->runtime.places[0]);
	assert_int_equal(world->runtime.place_count, 2); /* at once, and without a's error */
	assert_null(status_of(world).error);
}

/* ---- the loop's end: the teardown looks ---- */

static void test_seat_dropped_while_opening(void **state)
{
	set_leased(*state, "a");
}

static void test_seat_dropped_with_an_open_item(void **state)
{
	run_leased(*state, "a");
	pop(*state, "x");
}

static void test_seat_dropped_while_draining(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	pop(world, "x");
	slots_set_task(world->slots, NULL);
}

static void test_seat_dropped_while_closing(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	slots_set_task(world->slots, NULL);
	run_until(world, &last_worker(world)->terminated, 1);
	end_worker(last_worker(world), 143);
	assert_int_equal(last_place(world)->closed, 1);
}

static void test_seat_dropped_while_its_place_has_just_gone(void **state)
{
	struct world *world = *state;
	set_leased(world, "a");
	slots_set_task(world->slots, NULL);
	script_place_closed(last_place(world)); /* told in the loop's next turn, which is the last one */
}

static void test_seat_dropped_after_its_place_was_lost(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	script_place_lost(last_place(world), "gone");
}

static void test_seat_dropped_while_it_waits_for_items(void **state)
{
	struct world *world = *state;
	run_leased(world, "a");
	find_nothing_and_exit(world);
	run_for(world, 1200);
}

#define seat_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		seat_test(test_seat_starts_the_worker_in_its_place_when_that_listens),
		seat_test(test_seat_keeps_its_place_over_workers_and_changes_the_password),
		seat_test(test_seat_takes_another_worker_after_one_that_could_not_even_be_created),
		seat_test(test_seat_place_that_cannot_begin_is_told_and_tried_again),
		seat_test(test_seat_place_lost_while_opening_is_told_and_another_is_opened),
		seat_test(test_seat_place_lost_while_running_kills_and_opens_another),
		seat_test(test_seat_place_lost_while_creating_kills),
		seat_test(test_seat_place_lost_while_creating_and_the_worker_never_starts),
		seat_test(test_seat_place_lost_while_draining_kills),
		seat_test(test_seat_place_lost_while_stopping_kills),
		seat_test(test_seat_place_lost_while_removing_is_closed_after_that),
		seat_test(test_seat_drains_an_idle_worker_without_waiting),
		seat_test(test_seat_drains_until_the_open_item_is_done),
		seat_test(test_seat_drain_ends_at_stop_timeout_and_the_item_returns),
		seat_test(test_seat_worker_that_exits_while_draining_closes_its_item),
		seat_test(test_seat_kills_five_seconds_after_sigterm),
		seat_test(test_seat_hurry_ends_a_drain),
		seat_test(test_seat_exit_0_is_done),
		seat_test(test_seat_exit_3_is_a_failure),
		seat_test(test_seat_exit_0_out_of_memory_is_a_failure),
		seat_test(test_seat_end_by_somebody_else_returns),
		seat_test(test_seat_unknown_end_returns),
		seat_test(test_seat_item_timeout_kills_and_fails),
		seat_test(test_seat_worker_that_exits_0_is_started_again_only_when_there_are_items),
		seat_test(test_seat_that_waits_for_items_waits_on_when_the_engine_was_away),
		seat_test(test_seat_worker_that_exits_0_is_started_again_while_there_are_items),
		seat_test(test_seat_worker_that_fails_is_started_again_without_items),
		seat_test(test_seat_that_waits_for_items_lets_go_at_a_switch),
		seat_test(test_seat_that_waits_for_items_and_loses_its_place_opens_another),
		seat_test(test_seat_switch_while_the_place_is_opening),
		seat_test(test_seat_switch_while_opening_to_a_direct_task_starts_at_once),
		seat_test(test_seat_close_while_closing_asks_once),
		seat_test(test_seat_same_task_again_while_closing_gets_a_place_of_its_own),
		seat_test(test_seat_switch_after_the_place_was_lost_has_no_trouble),
		seat_test(test_seat_dropped_while_opening),
		seat_test(test_seat_dropped_with_an_open_item),
		seat_test(test_seat_dropped_while_draining),
		seat_test(test_seat_dropped_while_closing),
		seat_test(test_seat_dropped_while_its_place_has_just_gone),
		seat_test(test_seat_dropped_after_its_place_was_lost),
		seat_test(test_seat_dropped_while_it_waits_for_items),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
