/* Protects who gets which id, epoch and secret: the rules of docs/protocol.md, "Who is who", and what a restart remembers. */
#include "hub/nodes.h"

#include "../support.h"
#include "base/log.h"
#include "hub_support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct world {
	struct store *store;
	struct nodes *nodes;
	struct moment now;
};

static void on_forget(void *context, struct node *node)
{
	(void)context;
	(void)node;
}

static void load(struct world *world)
{
	static const struct nodes_options OPTIONS = {
		.offline_after_ms = 60000, .forget_after_ms = 600000, .max_nodes = 20, .on_forget = on_forget};
	struct err err = {0};
	world->store = open_store();
	world->nodes = nodes_load(world->store, &OPTIONS, world->now, &err);
	if (!world->nodes)
		fail_msg("%s", err.text);
}

static struct world begin(void)
{
	log_set_level(LOG_LEVEL_ERROR);
	struct world world = {.now = {.monotonic_ms = 1000000, .wall_ms = 1790000000000}};
	load(&world);
	return world;
}

static void end(struct world *world)
{
	nodes_free(world->nodes);
	store_close(world->store);
}

static void restart(struct world *world)
{
	end(world);
	load(world);
}

/* As after kill -9: what was not written is lost. */
static void restart_without_saving(struct world *world)
{
	forbid_writes();
	end(world);
	allow_writes();
	load(world);
}

/* What an agent has of its own. */
struct agent {
	char id[UUID_SIZE], secret[TOKEN_SIZE], run[8];
	int64_t epoch;
};

/* It keeps what the answer gives. `bearer`: the secret in the header, as an agent of ours sends it; or by the claim. */
static int try_registration(struct world *world, struct agent *agent, bool leases, bool bearer, bool seed, struct err *err)
{
	const struct register_message message = {.node_id = agent->id[0] ? agent->id : NULL,
						 .node_secret = agent->secret[0] ? agent->secret : NULL,
						 .hostname = "host",
						 .architecture = "x86_64",
						 .cpu_count = 4,
						 .run = agent->run[0] ? agent->run : NULL,
						 .leases = leases};
	const struct claim claim = {.node = bearer ? nodes_find_by_secret(world->nodes, agent->secret) : NULL, .seed = seed};
	struct registration registered;
	int rc = nodes_register(world->nodes, &message, &claim, world->now, &registered, err);
	if (rc) {
		assert_null(registered.node);
		assert_string_equal(registered.secret, "");
		return rc;
	}
	(void)strcpy(agent->id, registered.node->id);
	if (registered.secret[0])
		(void)strcpy(agent->secret, registered.secret);
	agent->epoch = registered.node->epoch;
	return 0;
}

/* An agent of ours: by its secret where the hub takes it, else by the token for joining. */
static void enroll(struct world *world, struct agent *agent, const char *run)
{
	struct err err = {0};
	(void)snprintf(agent->run, sizeof(agent->run), "%s", run);
	bool known = nodes_find_by_secret(world->nodes, agent->secret) != NULL;
	if (!known)
		agent->secret[0] = '\0';
	if (try_registration(world, agent, true, known, false, &err))
		fail_msg("%s", err.text);
}

static struct node *speaks(struct world *world, const struct agent *agent)
{
	return nodes_find_by_secret(world->nodes, agent->secret);
}

static void assert_speaks_for_itself(struct world *world, const struct agent *agent)
{
	const struct node *node = speaks(world, agent);
	assert_non_null(node);
	assert_string_equal(node->id, agent->id);
}

static void test_registration_gives_a_secret_once(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	assert_int_equal(strlen(agent.secret), TOKEN_SIZE - 1);
	assert_speaks_for_itself(&world, &agent);
	const struct agent before = agent;
	enroll(&world, &agent, "r1"); /* the hub had forgotten nothing: nothing new */
	assert_string_equal(agent.secret, before.secret);
	assert_string_equal(agent.id, before.id);
	assert_null(nodes_find_by_secret(world.nodes, ""));
	assert_null(nodes_find_by_secret(world.nodes, "revoked"));
	char changed[TOKEN_SIZE];
	(void)strcpy(changed, agent.secret);
	changed[5] = changed[5] == 'a' ? 'b' : 'a';
	assert_null(nodes_find_by_secret(world.nodes, changed));
	end(&world);
}

static void test_registration_stores_no_secret_but_its_hash(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	char sql[256];
	enroll(&world, &agent, "r1");
	(void)snprintf(sql, sizeof(sql), "SELECT count(*) FROM nodes WHERE length(secret_hash) = 64 AND secret_hash != '%s'",
		       agent.secret);
	assert_int_equal(ask_sql(sql), 1);
	assert_string_not_equal(nodes_find(world.nodes, agent.id)->secret.hash, agent.secret);
	restart(&world);
	assert_speaks_for_itself(&world, &agent);
	end(&world);
	/* SHA-256 as everybody computes it. */
	char hash[SECRET_HASH_SIZE];
	assert_true(secret_hash("abc", hash));
	assert_string_equal(hash, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static void test_registration_without_the_secret_is_another_node(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent owner = {0};
	enroll(&world, &owner, "r1");
	static const char *const BROUGHT[] = {"", "a-guess", "revoked"};
	for (size_t i = 0; i < 3; i++) {
		for (int seed = 0; seed < 2; seed++) {
			struct agent thief = {.run = "r1"};
			(void)strcpy(thief.id, owner.id);
			(void)strcpy(thief.secret, BROUGHT[i]);
			assert_int_equal(try_registration(&world, &thief, true, false, seed, NULL), 0);
			assert_string_not_equal(thief.id, owner.id);
			assert_speaks_for_itself(&world, &thief);
		}
	}
	assert_speaks_for_itself(&world, &owner);
	assert_int_equal(nodes_count(world.nodes), 7);
	end(&world);
}

static void test_registration_with_another_nodes_secret_is_not_the_id_that_it_names(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent owner = {0};
	struct agent other = {0};
	enroll(&world, &owner, "r1");
	enroll(&world, &other, "r1");
	struct agent thief = other;
	(void)strcpy(thief.id, owner.id);
	assert_int_equal(try_registration(&world, &thief, true, false, false, NULL), 0);
	assert_string_not_equal(thief.id, owner.id);
	assert_speaks_for_itself(&world, &owner);
	end(&world);
}

static void test_registration_by_token_keeps_the_id_against_the_secret_in_the_body(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	const struct agent before = agent;
	assert_int_equal(try_registration(&world, &agent, true, false, false, NULL), 0);
	assert_string_equal(agent.id, before.id);
	assert_int_equal(nodes_count(world.nodes), 1);
	end(&world);
}

static void test_registration_a_seed_agents_id_is_kept_by_the_seeds_token_alone(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	assert_int_equal(try_registration(&world, &agent, false, false, true, NULL), 0);
	assert_string_equal(agent.secret, "");
	const struct agent before = agent;
	assert_int_equal(try_registration(&world, &agent, false, false, true, NULL), 0);
	assert_string_equal(agent.id, before.id);
	struct agent joiner = before;
	assert_int_equal(try_registration(&world, &joiner, true, false, false, NULL), 0);
	assert_string_not_equal(joiner.id, before.id);
	/* Brought up to date it keeps its id, and has a secret from then on. */
	assert_int_equal(try_registration(&world, &agent, true, false, true, NULL), 0);
	assert_string_equal(agent.id, before.id);
	assert_speaks_for_itself(&world, &agent);
	struct agent old = before;
	assert_int_equal(try_registration(&world, &old, false, false, true, NULL), 0);
	assert_string_not_equal(old.id, before.id);
	end(&world);
}

static void test_registration_of_a_new_run_renews_the_secret_when_it_is_used(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	struct agent old = agent;
	enroll(&world, &agent, "r2");
	assert_string_not_equal(agent.secret, old.secret);
	assert_string_equal(agent.id, old.id);
	assert_speaks_for_itself(&world, &old); /* the answer may have been lost */
	restart(&world);
	assert_speaks_for_itself(&world, &old);
	assert_speaks_for_itself(&world, &agent); /* it was not: from here on the old one is out */
	assert_null(speaks(&world, &old));
	assert_speaks_for_itself(&world, &agent);
	nodes_tick(world.nodes, world.now);
	restart_without_saving(&world);
	assert_null(speaks(&world, &old));
	assert_speaks_for_itself(&world, &agent);
	end(&world);
}

static void test_registration_whose_answer_was_lost_is_given_anew(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	struct agent lost = agent;
	enroll(&world, &lost, "r2");
	enroll(&world, &agent, "r2"); /* the same run, with the secret that it has */
	assert_string_equal(agent.id, lost.id);
	assert_int_equal(agent.epoch, lost.epoch);
	assert_null(speaks(&world, &lost));
	assert_speaks_for_itself(&world, &agent);
	end(&world);
}

static void test_registration_of_a_cloned_disk_makes_two_nodes(void **state)
{
	(void)state;
	for (int first = 0; first < 2; first++) {
		struct world world = begin();
		struct agent agents[2] = {0};
		enroll(&world, &agents[0], "r1");
		assert_speaks_for_itself(&world, &agents[0]);
		agents[1] = agents[0]; /* the disk is copied, both machines start */
		char id[UUID_SIZE];
		(void)strcpy(id, agents[0].id);
		enroll(&world, &agents[first], "r2");
		assert_speaks_for_itself(&world, &agents[first]);
		enroll(&world, &agents[!first], "r3");
		assert_speaks_for_itself(&world, &agents[!first]);
		assert_speaks_for_itself(&world, &agents[first]);
		assert_string_equal(agents[first].id, id);
		assert_string_not_equal(agents[!first].id, id);
		assert_int_equal(nodes_count(world.nodes), 2);
		end(&world);
		run_sql("DELETE FROM nodes");
	}
}

static void test_registration_of_two_clones_at_once_makes_two_nodes(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent one = {0};
	enroll(&world, &one, "r1");
	struct agent two = one;
	enroll(&world, &one, "r2");
	enroll(&world, &two, "r3"); /* before the first has used what it got */
	assert_speaks_for_itself(&world, &two);
	assert_null(speaks(&world, &one));
	enroll(&world, &one, "r2"); /* as an agent does that is refused */
	assert_speaks_for_itself(&world, &one);
	assert_speaks_for_itself(&world, &two);
	assert_string_not_equal(one.id, two.id);
	end(&world);
}

static void test_registration_epochs(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	assert_int_equal(agent.epoch, world.now.wall_ms); /* so it survives a lost database */
	world.now.wall_ms += 5;
	enroll(&world, &agent, "r1");
	assert_int_equal(agent.epoch, world.now.wall_ms - 5);
	enroll(&world, &agent, "r2");
	assert_int_equal(agent.epoch, world.now.wall_ms);
	enroll(&world, &agent, "r3"); /* within the same millisecond */
	assert_int_equal(agent.epoch, world.now.wall_ms + 1);
	world.now.wall_ms -= 3600000; /* the clock is set back */
	int64_t last = agent.epoch;
	enroll(&world, &agent, "r4");
	assert_int_equal(agent.epoch, last + 1);
	restart(&world);
	enroll(&world, &agent, "r4");
	assert_int_equal(agent.epoch, last + 1);
	enroll(&world, &agent, "r5");
	assert_int_equal(agent.epoch, last + 2);
	end(&world);
}

static void test_registration_epoch_of_a_refused_write_is_not_given_again_to_another_run(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	int64_t first = agent.epoch;
	const struct agent before = agent;
	forbid_writes();
	(void)strcpy(agent.run, "r2");
	assert_int_equal(try_registration(&world, &agent, true, true, false, NULL), ERR_IO);
	assert_speaks_for_itself(&world, &before);
	allow_writes();
	enroll(&world, &agent, "r2");
	assert_true(agent.epoch > first);
	assert_speaks_for_itself(&world, &agent);
	restart(&world);
	assert_speaks_for_itself(&world, &agent);
	end(&world);
}

static void test_registration_that_cannot_be_written_gives_no_secret(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent seed = {0};
	assert_int_equal(try_registration(&world, &seed, false, false, true, NULL), 0);
	forbid_writes();
	struct agent fresh = {0};
	assert_int_equal(try_registration(&world, &fresh, true, false, false, NULL), ERR_IO);
	assert_int_equal(try_registration(&world, &seed, true, false, true, NULL), ERR_IO);
	assert_string_equal(nodes_find(world.nodes, seed.id)->secret.hash, "");
	allow_writes();
	assert_int_equal(try_registration(&world, &seed, true, false, true, NULL), 0);
	assert_speaks_for_itself(&world, &seed);
	end(&world);
}

static void test_revoked_secret_is_worth_nothing_for_good(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	const struct agent old = agent;
	enroll(&world, &agent, "r2"); /* both are good now */
	struct node *node = nodes_find(world.nodes, agent.id);
	forbid_writes();
	assert_int_equal(nodes_revoke(world.nodes, node, NULL), ERR_IO);
	allow_writes();
	assert_speaks_for_itself(&world, &old);
	assert_true(node->online);
	assert_int_equal(nodes_revoke(world.nodes, node, NULL), 0);
	assert_int_equal(nodes_revoke(world.nodes, node, NULL), 0);
	assert_false(node->online);
	for (int round = 0; round < 2; round++) {
		assert_null(speaks(&world, &old));
		assert_null(speaks(&world, &agent));
		/* Nobody may take its place, not even with the seed's token. */
		struct agent heir = {.run = "r3"};
		(void)strcpy(heir.id, old.id);
		assert_int_equal(try_registration(&world, &heir, round == 0, false, true, NULL), 0);
		assert_string_not_equal(heir.id, old.id);
		restart(&world);
	}
	end(&world);
}

static void test_secrets_of_a_forgotten_node_are_forgotten(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent agent = {0};
	enroll(&world, &agent, "r1");
	const struct agent old = agent;
	enroll(&world, &agent, "r2");
	world.now.monotonic_ms += 700000;
	world.now.wall_ms += 700000;
	nodes_tick(world.nodes, world.now);
	assert_int_equal(nodes_count(world.nodes), 0);
	assert_null(speaks(&world, &old));
	assert_null(speaks(&world, &agent));
	enroll(&world, &agent, "r2");
	assert_string_not_equal(agent.id, old.id);
	assert_speaks_for_itself(&world, &agent);
	end(&world);
}

static void test_revoking_who_has_no_secret_says_so(void **state)
{
	(void)state;
	struct world world = begin();
	struct agent seed = {0};
	struct err err = {0};
	assert_int_equal(try_registration(&world, &seed, false, false, true, NULL), 0);
	assert_int_equal(nodes_revoke(world.nodes, nodes_find(world.nodes, seed.id), &err), ERR_STATE);
	assert_contains(err.text, "uses the hub's token");
	end(&world);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_registration_gives_a_secret_once),
		in_sandbox(test_registration_stores_no_secret_but_its_hash),
		in_sandbox(test_registration_without_the_secret_is_another_node),
		in_sandbox(test_registration_with_another_nodes_secret_is_not_the_id_that_it_names),
		in_sandbox(test_registration_by_token_keeps_the_id_against_the_secret_in_the_body),
		in_sandbox(test_registration_a_seed_agents_id_is_kept_by_the_seeds_token_alone),
		in_sandbox(test_registration_of_a_new_run_renews_the_secret_when_it_is_used),
		in_sandbox(test_registration_whose_answer_was_lost_is_given_anew),
		in_sandbox(test_registration_of_a_cloned_disk_makes_two_nodes),
		in_sandbox(test_registration_of_two_clones_at_once_makes_two_nodes),
		in_sandbox(test_registration_epochs),
		in_sandbox(test_registration_epoch_of_a_refused_write_is_not_given_again_to_another_run),
		in_sandbox(test_registration_that_cannot_be_written_gives_no_secret),
		in_sandbox(test_revoked_secret_is_worth_nothing_for_good),
		in_sandbox(test_secrets_of_a_forgotten_node_are_forgotten),
		in_sandbox(test_revoking_who_has_no_secret_says_so),
	};
	return cmocka_run_group_tests_name("nodes_register", tests, NULL, NULL);
}
