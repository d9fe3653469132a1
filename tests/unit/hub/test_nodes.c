/* Protects the registry of nodes: who is known, who is Offline, when a stop flag goes, and what a restart remembers. */
#include "hub/nodes.h"

#include "../support.h"
#include "base/log.h"
#include "hub_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OFFLINE_MS = 60000, FORGET_MS = 600000 };

static unsigned forgotten;

static void on_forget(void *context, struct node *node)
{
	(void)context;
	(void)node;
	forgotten++;
}

struct world {
	struct store *store;
	struct nodes *nodes;
	struct moment now;
};

static const struct nodes_options OPTIONS = {
	.offline_after_ms = OFFLINE_MS, .forget_after_ms = FORGET_MS, .max_nodes = 5, .on_forget = on_forget};

static void load(struct world *world)
{
	struct err err = {0};
	world->store = open_store();
	world->nodes = nodes_load(world->store, &OPTIONS, world->now, &err);
	if (!world->nodes)
		fail_msg("%s", err.text);
}

static struct world begin(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	forgotten = 0;
	struct world world = {.now = {.monotonic_ms = 1000000, .wall_ms = 1790000000000}};
	load(&world);
	return world;
}

static void end(struct world *world)
{
	nodes_free(world->nodes);
	store_close(world->store);
}

static void pass(struct world *world, int64_t ms)
{
	world->now.monotonic_ms += ms;
	world->now.wall_ms += ms;
}

/* Who has the seed's token. */
static const struct claim SEED = {.seed = true};

static struct node *enroll(struct world *world, const char *id, const char *run)
{
	const struct register_message message = {
		.node_id = id, .hostname = "host", .architecture = "x86_64", .cpu_count = 4, .run = run, .slots = 2};
	struct registration registered;
	struct err err = {0};
	if (nodes_register(world->nodes, &message, &SEED, world->now, &registered, &err))
		fail_msg("%s", err.text);
	assert_string_equal(registered.secret, ""); /* it knows no leases */
	return registered.node;
}

static void beat(struct world *world, struct node *node, bool leaving)
{
	const struct heartbeat_message message = {
		.node_id = node->id, .status = RUNTIME_STATUS_RUNNING, .active_containers = 2, .leaving = leaving};
	assert_int_equal(nodes_heartbeat(world->nodes, node, &message, world->now, NULL), 0);
}

static void test_nodes_new_one_gets_a_uuid(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	assert_true(uuid_is_valid(node->id));
	assert_true(node->online);
	assert_string_equal(node->platform->name, "linux/amd64");
	assert_int_equal(node->cpu_count, 4);
	assert_ptr_equal(nodes_find(world.nodes, node->id), node);
	struct node *other = enroll(&world, "an-id-that-nobody-knows", "r2");
	assert_string_not_equal(other->id, "an-id-that-nobody-knows");
	assert_int_equal(nodes_count(world.nodes), 2);
	end(&world);
}

static void test_nodes_known_id_is_kept(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	char id[64];
	(void)strcpy(id, node->id);
	assert_ptr_equal(enroll(&world, id, "r2"), node);
	assert_int_equal(nodes_count(world.nodes), 1);
	end(&world);
}

static void test_nodes_new_run_clears_a_stop_flag_and_the_same_one_does_not(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	assert_int_equal(nodes_request_stop(world.nodes, node, NULL), 0);
	assert_true(node->stop_requested);
	(void)enroll(&world, node->id, "r1");
	assert_true(node->stop_requested);
	(void)enroll(&world, node->id, "r2");
	assert_false(node->stop_requested);
	/* A seed agent has no run: each of its registrations is a new one. */
	struct node *seed = enroll(&world, NULL, NULL);
	assert_int_equal(nodes_request_stop(world.nodes, seed, NULL), 0);
	(void)enroll(&world, seed->id, NULL);
	assert_false(seed->stop_requested);
	end(&world);
}

static void test_nodes_stop_flag_and_run_survive_a_restart(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	char id[64];
	(void)strcpy(id, node->id);
	assert_int_equal(nodes_request_stop(world.nodes, node, NULL), 0);
	end(&world);
	load(&world);
	node = nodes_find(world.nodes, id);
	assert_non_null(node);
	assert_true(node->stop_requested);
	(void)enroll(&world, id, "r1");
	assert_true(node->stop_requested);
	(void)enroll(&world, id, "r2");
	end(&world);
	load(&world);
	assert_false(nodes_find(world.nodes, id)->stop_requested);
	end(&world);
}

static void test_nodes_silent_one_goes_offline_and_comes_back(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *quiet = enroll(&world, NULL, "r1");
	struct node *busy = enroll(&world, NULL, "r2");
	for (int i = 0; i < 4; i++) {
		pass(&world, 20000);
		beat(&world, busy, false);
		nodes_tick(world.nodes, world.now);
		assert_int_equal(quiet->online, i < 2);
		assert_true(busy->online);
	}
	nodes_seen(world.nodes, quiet, world.now);
	assert_true(quiet->online);
	assert_int_equal(quiet->seen_wall_ms, world.now.wall_ms);
	pass(&world, OFFLINE_MS - 1);
	nodes_tick(world.nodes, world.now);
	assert_true(quiet->online);
	pass(&world, 1);
	nodes_tick(world.nodes, world.now);
	assert_false(quiet->online);
	assert_false(busy->online);
	end(&world);
}

static void test_nodes_one_that_leaves_is_offline_at_once(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	beat(&world, node, true);
	assert_false(node->online);
	beat(&world, node, false);
	assert_true(node->online);
	end(&world);
}

static void test_nodes_long_silent_one_is_forgotten(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *gone = enroll(&world, NULL, "r1");
	char id[64];
	(void)strcpy(id, gone->id);
	struct node *stays = enroll(&world, NULL, "r2");
	pass(&world, FORGET_MS / 2);
	nodes_tick(world.nodes, world.now);
	beat(&world, stays, false);
	pass(&world, FORGET_MS / 2);
	nodes_tick(world.nodes, world.now);
	assert_int_equal(forgotten, 1);
	assert_null(nodes_find(world.nodes, id));
	assert_int_equal(nodes_count(world.nodes), 1);
	assert_string_not_equal(enroll(&world, id, "r1")->id, id);
	end(&world);
	load(&world);
	assert_null(nodes_find(world.nodes, id));
	assert_int_equal(nodes_count(world.nodes), 2);
	end(&world);
}

static void test_nodes_forgetting_waits_until_it_can_be_written(void **state)
{
	(void)state;
	struct world world = begin();
	(void)enroll(&world, NULL, "r1");
	pass(&world, FORGET_MS + OFFLINE_MS);
	forbid_writes();
	nodes_tick(world.nodes, world.now);
	assert_int_equal(nodes_count(world.nodes), 1);
	assert_int_equal(forgotten, 0);
	allow_writes();
	nodes_tick(world.nodes, world.now);
	assert_int_equal(nodes_count(world.nodes), 0);
	assert_int_equal(forgotten, 1);
	end(&world);
}

static void test_nodes_silence_counts_across_a_restart(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *old = enroll(&world, NULL, "r1");
	char old_id[64];
	(void)strcpy(old_id, old->id);
	pass(&world, OFFLINE_MS / 2);
	char young_id[64];
	(void)strcpy(young_id, enroll(&world, NULL, "r2")->id);
	end(&world);
	/* The machine was away: the monotonic clock began anew, the wall clock went on. */
	world.now.monotonic_ms = 500;
	world.now.wall_ms += OFFLINE_MS / 2;
	load(&world);
	assert_false(nodes_find(world.nodes, old_id)->online);
	assert_true(nodes_find(world.nodes, young_id)->online);
	pass(&world, OFFLINE_MS / 2);
	nodes_tick(world.nodes, world.now);
	assert_false(nodes_find(world.nodes, young_id)->online);
	end(&world);
}

static void test_nodes_clock_set_back_makes_nobody_offline(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	char id[64];
	(void)strcpy(id, node->id);
	world.now.wall_ms -= 3600000;
	beat(&world, node, false);
	nodes_tick(world.nodes, world.now);
	assert_true(node->online);
	end(&world);
	world.now.wall_ms -= 3600000; /* what is stored lies in the future now */
	load(&world);
	assert_true(nodes_find(world.nodes, id)->online);
	pass(&world, OFFLINE_MS);
	nodes_tick(world.nodes, world.now);
	assert_false(nodes_find(world.nodes, id)->online);
	end(&world);
}

static void test_nodes_a_stopped_hub_blames_nobody(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *silent = enroll(&world, NULL, "r1");
	pass(&world, 30000);
	struct node *other = enroll(&world, NULL, "r2");
	int64_t away_ms = FORGET_MS + OFFLINE_MS;
	pass(&world, away_ms);
	beat(&world, other, false); /* its message waited in the socket, and is read before the tick */
	nodes_excuse(world.nodes, away_ms, world.now);
	nodes_tick(world.nodes, world.now);
	assert_true(silent->online && other->online);
	assert_int_equal(other->seen_ms, world.now.monotonic_ms); /* not in the future */
	pass(&world, OFFLINE_MS - 30000); /* what it was silent for before counts */
	nodes_tick(world.nodes, world.now);
	assert_true(!silent->online && other->online);
	end(&world);
}

static void test_nodes_listing_keeps_the_order_of_registration(void **state)
{
	(void)state;
	struct world world = begin();
	char ids[5][64];
	for (int i = 0; i < 5; i++) /* within one millisecond, as a crowd does */
		(void)strcpy(ids[i], enroll(&world, NULL, "r")->id);
	beat(&world, nodes_find(world.nodes, ids[0]), false);
	for (int round = 0; round < 2; round++) {
		struct node_cursor cursor = {0};
		for (int i = 0; i < 5; i++) {
			const struct node *node = nodes_next(world.nodes, &cursor);
			assert_non_null(node);
			assert_string_equal(node->id, ids[i]);
		}
		assert_null(nodes_next(world.nodes, &cursor));
		end(&world);
		load(&world);
	}
	end(&world);
}

static void test_nodes_are_not_more_than_allowed(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = NULL;
	for (int i = 0; i < 5; i++)
		node = enroll(&world, NULL, "r");
	const struct register_message message = {.hostname = "h", .architecture = "x86_64", .cpu_count = 1};
	struct registration none;
	struct err err = {0};
	assert_int_equal(nodes_register(world.nodes, &message, &SEED, world.now, &none, &err), ERR_TOO_BIG);
	assert_null(none.node);
	assert_ptr_equal(enroll(&world, node->id, "r9"), node); /* who is known may come again */
	end(&world);
}

static void test_nodes_unknown_architecture_has_no_platform(void **state)
{
	(void)state;
	struct world world = begin();
	const struct register_message message = {.hostname = "h", .architecture = "riscv64", .cpu_count = 1};
	struct registration registered;
	assert_int_equal(nodes_register(world.nodes, &message, &SEED, world.now, &registered, NULL), 0);
	assert_null(registered.node->platform);
	end(&world);
}

static void test_nodes_refused_write_registers_nobody_and_stops_nobody(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	forbid_writes();
	const struct register_message message = {.hostname = "h", .architecture = "x86_64", .cpu_count = 1};
	struct registration none;
	assert_int_equal(nodes_register(world.nodes, &message, &SEED, world.now, &none, NULL), ERR_IO);
	assert_null(none.node);
	assert_int_equal(nodes_count(world.nodes), 1);
	assert_int_equal(nodes_request_stop(world.nodes, node, NULL), ERR_IO);
	assert_false(node->stop_requested);
	allow_writes();
	end(&world);
}

static void test_nodes_refused_registration_of_a_new_run_can_be_repeated(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	assert_int_equal(nodes_request_stop(world.nodes, node, NULL), 0);
	const struct register_message message = {
		.node_id = node->id, .hostname = "h", .architecture = "x86_64", .cpu_count = 1, .run = "r2"};
	struct registration again;
	forbid_writes();
	assert_int_equal(nodes_register(world.nodes, &message, &SEED, world.now, &again, NULL), ERR_IO);
	allow_writes();
	/* The agent tries again with the run that it drew: it must not be stopped by the flag of the run before. */
	assert_int_equal(nodes_register(world.nodes, &message, &SEED, world.now, &again, NULL), 0);
	assert_false(node->stop_requested);
	end(&world);
}

static void test_nodes_heartbeat_shows_its_content(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	json_t *before = node_to_json(node, NULL);
	assert_true(json_is_null(json_object_get(before, "runtime_status")));
	json_decref(before);
	const struct heartbeat_message message = {.node_id = node->id,
						  .status = RUNTIME_STATUS_ERROR,
						  .active_containers = 1,
						  .task = "t",
						  .error = "no image",
						  .pull = "half"};
	assert_int_equal(nodes_heartbeat(world.nodes, node, &message, world.now, NULL), 0);
	json_t *after = node_to_json(node, "because");
	static const char *const TEXTS[][2] = {{"id", NULL},	       {"hostname", "host"},  {"architecture", "x86_64"},
					       {"platform", "linux/amd64"}, {"status", "Online"},  {"runtime_status", "Error"},
					       {"task", "t"},	       {"error", "no image"}, {"pull", "half"},
					       {"idle_reason", "because"}, {"last_seen", "2026-09-21T14:13:20.000Z"}};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		const char *value = json_string_value(json_object_get(after, TEXTS[i][0]));
		assert_non_null(value);
		if (TEXTS[i][1])
			assert_string_equal(value, TEXTS[i][1]);
	}
	assert_int_equal(json_integer_value(json_object_get(after, "active_containers")), 1);
	assert_int_equal(json_integer_value(json_object_get(after, "cpu_count")), 4);
	json_decref(after);
	const struct heartbeat_message well = {.node_id = node->id, .status = RUNTIME_STATUS_IDLE};
	assert_int_equal(nodes_heartbeat(world.nodes, node, &well, world.now, NULL), 0);
	assert_null(node->error);
	assert_null(node->pull);
	assert_null(node->task);
	end(&world);
}

static void test_nodes_heartbeats_are_not_written_one_by_one(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	int64_t stored = ask_sql("SELECT seen_ms FROM nodes");
	for (int i = 0; i < 5; i++) {
		pass(&world, 10000);
		beat(&world, node, false);
		nodes_tick(world.nodes, world.now);
		assert_int_equal(ask_sql("SELECT seen_ms FROM nodes"), stored);
	}
	pass(&world, 10000);
	beat(&world, node, false);
	nodes_tick(world.nodes, world.now);
	assert_int_equal(ask_sql("SELECT seen_ms FROM nodes"), world.now.wall_ms);
	pass(&world, 10000);
	beat(&world, node, false);
	end(&world); /* the end saves what is left */
	assert_int_equal(ask_sql("SELECT seen_ms FROM nodes"), world.now.wall_ms);
}

static void test_nodes_drained_one_stays_so_over_restarts_and_runs(void **state)
{
	(void)state;
	struct world world = begin();
	struct node *node = enroll(&world, NULL, "r1");
	char id[LIMIT_NODE_ID + 1];
	(void)strcpy(id, node->id);
	assert_int_equal(nodes_set_draining(world.nodes, node, true, NULL), 0);
	end(&world);
	load(&world);
	node = nodes_find(world.nodes, id);
	assert_true(node->draining);
	node = enroll(&world, id, "r2");
	assert_true(node->draining); /* unlike a stop, which is for a run */
	forbid_writes();
	assert_int_not_equal(nodes_set_draining(world.nodes, node, false, NULL), 0);
	allow_writes();
	assert_true(node->draining);
	assert_int_equal(nodes_set_draining(world.nodes, node, false, NULL), 0);
	end(&world);
	load(&world);
	assert_false(nodes_find(world.nodes, id)->draining);
	end(&world);
}

static void test_nodes_drained_one_is_not_able(void **state)
{
	(void)state;
	struct world world = begin();
	struct task_spec spec = simple_spec("t");
	struct node *node = enroll(&world, NULL, "r1");
	node->leases = true;
	assert_int_equal(nodes_count_able(world.nodes, &spec), 1);
	assert_int_equal(nodes_set_draining(world.nodes, node, true, NULL), 0);
	assert_int_equal(nodes_count_able(world.nodes, &spec), 0);
	task_spec_done(&spec);
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_nodes_new_one_gets_a_uuid),
		in_sandbox(test_nodes_known_id_is_kept),
		in_sandbox(test_nodes_new_run_clears_a_stop_flag_and_the_same_one_does_not),
		in_sandbox(test_nodes_stop_flag_and_run_survive_a_restart),
		in_sandbox(test_nodes_silent_one_goes_offline_and_comes_back),
		in_sandbox(test_nodes_one_that_leaves_is_offline_at_once),
		in_sandbox(test_nodes_long_silent_one_is_forgotten),
		in_sandbox(test_nodes_forgetting_waits_until_it_can_be_written),
		in_sandbox(test_nodes_silence_counts_across_a_restart),
		in_sandbox(test_nodes_clock_set_back_makes_nobody_offline),
		in_sandbox(test_nodes_a_stopped_hub_blames_nobody),
		in_sandbox(test_nodes_listing_keeps_the_order_of_registration),
		in_sandbox(test_nodes_are_not_more_than_allowed),
		in_sandbox(test_nodes_unknown_architecture_has_no_platform),
		in_sandbox(test_nodes_refused_write_registers_nobody_and_stops_nobody),
		in_sandbox(test_nodes_refused_registration_of_a_new_run_can_be_repeated),
		in_sandbox(test_nodes_drained_one_stays_so_over_restarts_and_runs),
		in_sandbox(test_nodes_drained_one_is_not_able),
		in_sandbox(test_nodes_heartbeat_shows_its_content),
		in_sandbox(test_nodes_heartbeats_are_not_written_one_by_one),
	};
	return cmocka_run_group_tests_name("nodes", tests, NULL, NULL);
}
