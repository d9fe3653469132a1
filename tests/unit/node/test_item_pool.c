/* Protects the node's part of the lease protocol: what is asked for and when, what comes again, what is told of items and
 * how often, and what remains to be told at the end. The hub is scripted, the clock is the test's. */
#include "node/item_pool.h"

#include "../support.h"
#include "base/cleanup.h"
#include "net/resp.h"
#include "scripted_hub.h"

#include <stdio.h>
#include <string.h>

static int64_t now_ms;

static int64_t now(void)
{
	return now_ms;
}

struct getter {
	struct item_want want;
	struct item_list got;
	unsigned answers;
};

struct bench {
	uv_loop_t loop;
	struct scripted_hub hub;
	struct item_pool *pool;
	struct item_taker taker, other;
	struct getter getter[4];
	unsigned superseded, unknown, drained, news;
	bool superseded_accepted;
};

static void on_superseded(void *context, bool accepted)
{
	struct bench *bench = context;
	bench->superseded++;
	bench->superseded_accepted = accepted;
}

static void on_unknown(void *context)
{
	((struct bench *)context)->unknown++;
}

static void on_news(void *context, int64_t version, bool stop)
{
	(void)version;
	(void)stop;
	((struct bench *)context)->news++;
}

static void on_drained(void *context)
{
	((struct bench *)context)->drained++;
}

static void on_items(struct item_want *want, struct item_list *items)
{
	struct getter *getter = (struct getter *)want;
	item_list_append(&getter->got, items);
	getter->answers++;
}

static struct bench *new_bench(size_t batch)
{
	struct bench *bench = calloc(1, sizeof(*bench));
	now_ms = 1000;
	(void)uv_loop_init(&bench->loop);
	const struct item_pool_options options = {
		.task_id = "t-1",
		.node_id = "node",
		.epoch = 7,
		.version = 3,
		.hub = &SCRIPTED_HUB,
		.hub_context = &bench->hub,
		.batch = batch,
		.max_kept = batch ? 0 : 100 * 1000,
		.now_ms = now,
		.context = bench,
		.on_superseded = on_superseded,
		.on_unknown = on_unknown,
		.on_news = on_news,
	};
	bench->pool = item_pool_new(&bench->loop, &options);
	item_pool_attach(bench->pool, &bench->taker);
	item_pool_attach(bench->pool, &bench->other);
	return bench;
}

static int setup(void **state)
{
	*state = new_bench(0);
	return 0;
}

static int teardown(void **state)
{
	struct bench *bench = *state;
	for (size_t i = 0; i < 4; i++)
		item_pool_return(bench->pool, &bench->taker, &bench->getter[i].got);
	item_pool_close(bench->pool);
	(void)uv_run(&bench->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&bench->loop), 0);
	hub_done(&bench->hub);
	free(bench);
	return 0;
}

#define pool_test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

static void step(struct bench *bench, int64_t ms)
{
	now_ms += ms;
	item_pool_step(bench->pool);
}

static struct getter *want(struct bench *bench, size_t i, size_t max, bool blocking)
{
	struct getter *getter = &bench->getter[i];
	getter->answers = 0;
	getter->want = (struct item_want){.taker = i % 2 ? &bench->other : &bench->taker,
					  .min = max ? 1 : 0, .max = max, .blocking = blocking, .on_items = on_items};
	item_pool_want(bench->pool, &getter->want);
	step(bench, 0);
	return getter;
}

/* One item, open. */
static struct item_list take(struct bench *bench, const char *item)
{
	struct getter *getter = want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){item, NULL});
	struct item_list got = getter->got;
	getter->got = (struct item_list){0};
	assert_int_equal(got.count, 1);
	step(bench, 0);
	return got;
}

static void done(struct bench *bench, struct item_list *items, const char *write)
{
	struct writes writes;
	writes_init(&writes);
	if (write) {
		const char *const argv[] = {"LPUSH", "out", write};
		assert_int_equal(resp_add_command(&writes.bytes, 3, argv, NULL), 0);
		writes.count = 1;
		writes.values = 4;
	}
	item_pool_done(bench->pool, &bench->taker, items, &writes);
	writes_done(&writes);
}

static void expect_batch(struct bench *bench, const char *expected)
{
	char text[4096] = "";
	struct taken_post *post = hub_open(&bench->hub, "commit");
	assert_non_null(post);
	hub_describe(post, text, sizeof(text));
	assert_string_equal(text, expected);
}

static void accept_batch(struct bench *bench, int count)
{
	char text[64];
	(void)snprintf(text, sizeof(text), "{\"accepted\":%d}", count);
	hub_answer(hub_open(&bench->hub, "commit"), 200, text, strlen(text));
	step(bench, 0);
}

static struct item_pool_status status_of(const struct bench *bench)
{
	struct item_pool_status status;
	item_pool_status(bench->pool, &status);
	return status;
}

/* ---- leases ---- */

static void test_first_lease_asks_for_the_wants_and_is_held(void **state)
{
	struct bench *bench = *state;
	(void)want(bench, 0, 1, true);
	struct taken_post *post = hub_open(&bench->hub, "lease");
	assert_non_null(post);
	assert_int_equal(post_number(post, "n"), 1);
	assert_int_equal(post_number(post, "max"), 1);
	assert_int_equal(post_number(post, "epoch"), 7);
	assert_int_equal(post_number(post, "version"), 3);
	assert_true(post_number(post, "wait") > 0);
	(void)want(bench, 1, 1, true);
	assert_int_equal(bench->hub.leases, 1); /* one outstanding */
}

static void test_lost_answer_is_asked_for_with_the_same_number(void **state)
{
	struct bench *bench = *state;
	struct getter *getter = want(bench, 0, 1, true);
	hub_lose(hub_open(&bench->hub, "lease"));
	step(bench, 1);
	assert_null(hub_open(&bench->hub, "lease")); /* a pause first */
	step(bench, 2000);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 1);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", NULL});
	assert_int_equal(getter->got.count, 1);
	(void)want(bench, 1, 1, true);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 2);
}

static void test_empty_keeps_the_number(void **state)
{
	struct bench *bench = *state;
	struct getter *getter = want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EMPTY, 0, NULL);
	step(bench, 0);
	assert_int_equal(getter->answers, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 1);
}

static void test_broken_answer_counts_as_lost(void **state)
{
	struct bench *bench = *state;
	struct getter *getter = want(bench, 0, 1, true);
	hub_answer(hub_open(&bench->hub, "lease"), 200, "*1\r\n$2\r\nhi\r\n", 13);
	step(bench, 2000);
	assert_int_equal(getter->answers, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 1);
}

static void test_superseded_says_whether_it_was_accepted(void **state)
{
	struct bench *bench = *state;
	(void)want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_SUPERSEDED, 0, NULL);
	assert_int_equal(bench->superseded, 1);
	assert_false(bench->superseded_accepted);
	step(bench, 5000);
	assert_null(hub_open(&bench->hub, "lease"));
	item_pool_identify(bench->pool, "node", 8);
	step(bench, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "epoch"), 8);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EMPTY, 0, NULL);
	step(bench, 0);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_SUPERSEDED, 0, NULL);
	assert_true(bench->superseded_accepted);
}

static void test_stale_number_jumps_ahead(void **state)
{
	struct bench *bench = *state;
	(void)want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_STALE, 0, NULL);
	step(bench, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 2);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_STALE, 0, NULL);
	step(bench, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 4);
}

static void test_nil_only_after_a_call_that_began_after_the_pop(void **state)
{
	struct bench *bench = *state;
	(void)want(bench, 0, 1, true); /* a held call is under way */
	struct getter *poller = want(bench, 1, 1, false);
	assert_int_equal(bench->hub.cancelled, 1); /* in its way */
	assert_int_equal(poller->answers, 0);
	struct taken_post *post = hub_open(&bench->hub, "lease");
	assert_int_equal(post_number(post, "wait"), 0);
	assert_int_equal(post_number(post, "n"), 1);
	hub_answer_lease(post, LEASE_EMPTY, 0, NULL);
	assert_int_equal(poller->answers, 1);
	assert_int_equal(poller->got.count, 0);
	/* The other one waits on, and the next poll does not come at once. */
	step(bench, 0);
	assert_true(post_number(hub_open(&bench->hub, "lease"), "wait") > 0);
	unsigned leases = bench->hub.leases;
	(void)want(bench, 1, 1, false);
	assert_int_equal(bench->hub.leases, leases);
	step(bench, 60);
	assert_int_equal(bench->hub.leases, leases + 1);
}

static void test_nil_is_not_for_who_came_after_the_call_began(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want(bench, 0, 1, false);
	struct getter *second = want(bench, 1, 1, false);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EMPTY, 0, NULL);
	assert_int_equal(first->answers, 1);
	assert_int_equal(second->answers, 0);
	step(bench, 60);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EMPTY, 0, NULL);
	assert_int_equal(second->answers, 1);
	/* Nor is it for who came while a call was held that had been asked before. */
	(void)want(bench, 0, 1, true);
	struct getter *third = want(bench, 1, 1, false);
	assert_true(post_number(hub_open(&bench->hub, "lease"), "wait") > 0); /* too soon after the last poll */
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EMPTY, 0, NULL);
	assert_int_equal(third->answers, 0);
}

static void test_no_nil_while_the_hub_is_away(void **state)
{
	struct bench *bench = *state;
	struct getter *poller = want(bench, 0, 1, false);
	hub_lose(hub_open(&bench->hub, "lease"));
	step(bench, 2000);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_BLOCKED, 0, NULL);
	step(bench, 5000);
	assert_true(status_of(bench).blocked);
	assert_int_equal(poller->answers, 0);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EMPTY, 0, NULL);
	assert_int_equal(poller->answers, 1);
}

static void test_count_is_asked_for_when_it_is_not_known(void **state)
{
	struct bench *bench = *state;
	assert_int_equal(item_pool_count(bench->pool), -1);
	struct getter *asker = want(bench, 0, 0, false);
	step(bench, 1);
	assert_int_equal(asker->answers, 0);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 41, (const char *const[]){"a=1", NULL});
	assert_int_equal(asker->answers, 1);
	assert_int_equal(item_pool_count(bench->pool), 42);
}

static void test_adoption_of_an_item_that_comes_again(void **state)
{
	struct bench *bench = *state;
	struct item_list open = take(bench, "a=1");
	struct item *item = open.first;
	assert_int_equal(item->number, 1);
	/* Running: it takes the number and goes on. */
	struct getter *getter = want(bench, 1, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", NULL});
	assert_int_equal(item->number, 2);
	assert_int_equal(getter->answers, 0);
	/* Its commit is under way: it takes the number, and the commit stays. */
	done(bench, &open, "x");
	step(bench, 10);
	expect_batch(bench, "done a: LPUSH out x\n");
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", NULL});
	assert_int_equal(getter->answers, 0);
	accept_batch(bench, 1);
	assert_int_equal(status_of(bench).counters.done, 1);
}

static void test_item_whose_failure_is_under_way_is_a_new_one(void **state)
{
	struct bench *bench = *state;
	struct item_list open = take(bench, "a=1");
	item_pool_fail(bench->pool, &bench->taker, &open, "{\"reason\":\"exit\"}");
	struct getter *getter = want(bench, 1, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", NULL});
	assert_int_equal(getter->got.count, 1);
	step(bench, 10);
	expect_batch(bench, "fail a exit\n");
	accept_batch(bench, 1);
	assert_int_equal(status_of(bench).open, 1);
}

static void test_slow_items_are_not_taken_ahead_and_fast_ones_are(void **state)
{
	struct bench *bench = *state;
	item_pool_note_service(bench->pool, 2000ULL * 1000 * 1000, 1);
	struct item_list open = take(bench, "a=1");
	step(bench, 100);
	assert_null(hub_open(&bench->hub, "lease"));
	for (int i = 0; i < 100; i++)
		item_pool_note_service(bench->pool, 100 * 1000, 1);
	step(bench, 0);
	struct taken_post *post = hub_open(&bench->hub, "lease");
	assert_non_null(post);
	assert_true(post_number(post, "max") > 50);
	assert_true(post_number(post, "bytes") <= 4 * 1024 * 1024);
	item_pool_return(bench->pool, &bench->taker, &open);
}

static void test_wants_are_served_in_their_order(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want(bench, 0, 1, true);
	struct getter *second = want(bench, 1, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", NULL});
	assert_int_equal(first->got.count, 1);
	assert_int_equal(second->got.count, 0);
}

static void test_item_to_be_alone_is_the_only_one_in_its_slot(void **state)
{
	struct bench *bench = *state;
	struct item_list open = take(bench, "a=1");
	struct getter *same = want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"b=2!", NULL});
	assert_int_equal(same->answers, 0); /* its slot has one open */
	struct getter *other = want(bench, 1, 5, true);
	assert_int_equal(other->got.count, 1);
	step(bench, 0);
	/* … and while it is open there, nothing else opens there. */
	struct getter *more = want(bench, 3, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"c=3", "d=4", NULL});
	assert_int_equal(same->answers, 1);
	assert_int_equal(more->answers, 0);
	step(bench, 61 * 1000); /* not for ever */
	assert_int_equal(more->answers, 1);
	item_pool_return(bench->pool, &bench->taker, &open);
	item_pool_return(bench->pool, &bench->other, &other->got);
	item_pool_return(bench->pool, &bench->other, &more->got);
}

/* ---- outcomes ---- */

static void test_commits_batch_by_themselves(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct item_list b = take(bench, "b=2");
	struct item_list c = take(bench, "c=3");
	done(bench, &a, "x");
	step(bench, 10);
	expect_batch(bench, "done a: LPUSH out x\n");
	done(bench, &b, NULL);
	item_pool_return(bench->pool, &bench->taker, &c);
	step(bench, 10);
	assert_int_equal(bench->hub.commits, 1); /* one under way */
	accept_batch(bench, 1);
	step(bench, 10);
	expect_batch(bench, "done b\nreturn c\n");
	accept_batch(bench, 2);
	struct item_pool_status status = status_of(bench);
	assert_int_equal(status.counters.done, 2);
	assert_int_equal(status.counters.empty, 1);
	assert_int_equal(status.counters.returned, 1);
	assert_int_equal(status.kept, 0);
}

static void test_unanswered_commit_is_repeated_as_it_was(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct item_list b = take(bench, "b=2");
	done(bench, &a, "x");
	step(bench, 10);
	hub_lose(hub_open(&bench->hub, "commit"));
	done(bench, &b, "y");
	step(bench, 5000);
	expect_batch(bench, "done a: LPUSH out x\n");
	hub_answer(hub_open(&bench->hub, "commit"), 503, "{}", 2);
	step(bench, 10 * 1000);
	expect_batch(bench, "done a: LPUSH out x\n");
	accept_batch(bench, 1);
	step(bench, 10);
	expect_batch(bench, "done b: LPUSH out y\n");
}

static void test_duplicate_and_refused_are_final_and_counted(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct item_list b = take(bench, "b=2");
	done(bench, &a, "x");
	done(bench, &b, "y");
	step(bench, 10);
	static const char ANSWER[] =
		"{\"results\":[{\"outcome\":\"duplicate\"},{\"outcome\":\"refused\",\"message\":\"wrong type\"}]}";
	capture_begin();
	hub_answer(hub_open(&bench->hub, "commit"), 200, ANSWER, strlen(ANSWER));
	AUTO_FREE char *log = capture_end();
	assert_contains(log, "wrong type");
	struct item_pool_status status = status_of(bench);
	assert_int_equal(status.counters.duplicates, 1);
	assert_int_equal(status.counters.refused, 1);
	assert_int_equal(status.counters.done, 0);
	assert_int_equal(status.kept, 0);
}

static void test_unreadable_batch_is_told_one_by_one(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct item_list b = take(bench, "b=2");
	done(bench, &a, "x");
	done(bench, &b, "y");
	step(bench, 10);
	capture_begin();
	hub_answer(hub_open(&bench->hub, "commit"), 413, "{}", 2);
	step(bench, 10);
	expect_batch(bench, "done a: LPUSH out x\n");
	hub_answer(hub_open(&bench->hub, "commit"), 413, "{}", 2);
	step(bench, 10);
	expect_batch(bench, "fail a result_too_large\n");
	accept_batch(bench, 1);
	step(bench, 10);
	expect_batch(bench, "done b: LPUSH out y\n");
	free(capture_end());
}

static void test_loose_writes_are_numbered(void **state)
{
	struct bench *bench = *state;
	for (int i = 0; i < 2; i++) {
		struct writes writes;
		const char *const argv[] = {"RPUSH", "out", "w"};
		writes_init(&writes);
		assert_int_equal(resp_add_command(&writes.bytes, 3, argv, NULL), 0);
		writes.count = 1;
		assert_int_equal(item_pool_write(bench->pool, &writes), 0);
		writes_done(&writes);
	}
	step(bench, 10);
	struct taken_post *post = hub_open(&bench->hub, "commit");
	struct commit_batch *batch = commit_parse(post->body, post->body_len, NULL);
	assert_int_equal(commit_outcome(batch, 0)->number, 1);
	assert_int_equal(commit_outcome(batch, 1)->number, 2);
	commit_free(batch);
}

static void test_pops_wait_while_too_much_is_kept(void **state)
{
	struct bench *bench = *state;
	static char large[100 * 1000];
	memset(large, 'x', sizeof(large) - 1);
	struct item_list a = take(bench, "a=1");
	done(bench, &a, large);
	assert_true(status_of(bench).full);
	struct getter *getter = want(bench, 0, 1, true);
	assert_null(hub_open(&bench->hub, "lease"));
	struct writes none;
	writes_init(&none);
	assert_int_equal(item_pool_write(bench->pool, &none), ERR_TOO_BIG);
	step(bench, 10);
	accept_batch(bench, 1);
	assert_non_null(hub_open(&bench->hub, "lease"));
	assert_int_equal(getter->answers, 0);
}

/* ---- inventory, heartbeats, the end ---- */

static void test_inventory_lists_all_that_is_here(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct item_list b = take(bench, "b=2");
	struct item_list c = take(bench, "c=3");
	done(bench, &a, "x");
	item_pool_return(bench->pool, &bench->taker, &b);
	step(bench, 61 * 1000);
	struct taken_post *post = hub_open(&bench->hub, "inventory");
	assert_non_null(post);
	assert_int_equal(post_number(post, "r"), 3);
	assert_contains(post->body, "[\"a\",1]");
	assert_contains(post->body, "[\"b\",2]");
	assert_contains(post->body, "[\"c\",3]");
	hub_lose(post);
	step(bench, 5000);
	assert_non_null(hub_open(&bench->hub, "inventory"));
	item_pool_return(bench->pool, &bench->taker, &c);
}

static void test_holding_names_what_no_worker_has_seen(void **state)
{
	struct bench *bench = *state;
	assert_null(item_pool_holding(bench->pool));
	(void)want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", "b=2", NULL});
	AUTO_JSON json_t *holding = item_pool_holding(bench->pool);
	AUTO_FREE char *text = json_dumps(holding, JSON_COMPACT);
	assert_string_equal(text, "{\"task_id\":\"t-1\",\"unopened\":[\"b\"]}");
}

static void test_drain_gives_back_what_is_not_open_and_tells_when_all_is_told(void **state)
{
	struct bench *bench = *state;
	struct getter *getter = want(bench, 0, 1, true);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 0, (const char *const[]){"a=1", "b=2", NULL});
	struct getter *waiting = want(bench, 1, 5, true);
	item_pool_return(bench->pool, &bench->other, &waiting->got);
	(void)want(bench, 1, 5, true);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 2);
	item_pool_drain(bench->pool, true, on_drained);
	step(bench, 0);
	assert_null(hub_open(&bench->hub, "lease"));
	struct taken_post *post = hub_open(&bench->hub, "inventory");
	assert_int_equal(post_number(post, "r"), 2); /* number 2 was given up */
	assert_contains(post->body, "[\"a\",1]");
	assert_contains(post->body, "\"leave\":false");
	hub_answer(post, 200, "{\"returned\":1}", 14);
	step(bench, 0);
	assert_int_equal(bench->drained, 0);
	expect_batch(bench, "return b\n");
	accept_batch(bench, 1);
	done(bench, &getter->got, "x");
	step(bench, 10);
	accept_batch(bench, 1);
	step(bench, 0);
	assert_int_equal(bench->drained, 0); /* the goodbye */
	post = hub_open(&bench->hub, "inventory");
	assert_contains(post->body, "\"leave\":true");
	assert_contains(post->body, "\"pairs\":[]");
	hub_answer(post, 200, "{\"returned\":0}", 14);
	step(bench, 0);
	assert_int_equal(bench->drained, 1);
}

static void test_forgotten_task_is_dropped(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct item_list b = take(bench, "b=2");
	done(bench, &a, "x");
	step(bench, 10);
	static const char BODY[] = "{\"error\":{\"code\":\"unknown_task\",\"message\":\"?\"}}";
	capture_begin();
	hub_answer(hub_open(&bench->hub, "commit"), 404, BODY, strlen(BODY));
	step(bench, 0);
	assert_int_equal(status_of(bench).kept, 0);
	item_pool_drain(bench->pool, false, on_drained);
	step(bench, 0);
	assert_int_equal(bench->drained, 0);
	done(bench, &b, "y");
	step(bench, 0);
	assert_int_equal(bench->drained, 1);
	free(capture_end());
}

static void test_unknown_node_is_to_register(void **state)
{
	struct bench *bench = *state;
	(void)want(bench, 0, 1, true);
	static const char BODY[] = "{\"error\":{\"code\":\"unknown_node\",\"message\":\"?\"}}";
	capture_begin();
	hub_answer(hub_open(&bench->hub, "lease"), 404, BODY, strlen(BODY));
	free(capture_end());
	assert_int_equal(bench->unknown, 1);
	step(bench, 2000);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "n"), 1);
}

static void test_put_back_goes_to_the_next(void **state)
{
	struct bench *bench = *state;
	struct item_list a = take(bench, "a=1");
	struct getter *other = want(bench, 1, 1, true);
	item_pool_put_back(bench->pool, &bench->taker, item_list_shift(&a));
	step(bench, 0);
	assert_int_equal(other->got.count, 1);
	item_pool_return(bench->pool, &bench->other, &other->got);
}

/* ---- many at once ---- */

enum { BATCH = 1000 };

static int setup_batch(void **state)
{
	*state = new_bench(BATCH);
	return 0;
}

static struct getter *want_batch(struct bench *bench, size_t i)
{
	struct getter *getter = &bench->getter[i];
	getter->answers = 0;
	getter->want = (struct item_want){
		.taker = i % 2 ? &bench->other : &bench->taker, .min = BATCH, .max = BATCH, .blocking = true, .on_items = on_items};
	item_pool_want(bench->pool, &getter->want);
	step(bench, 0);
	return getter;
}

/* Answers the open lease with so many items, and with what it says of the rest. */
static void give(struct bench *bench, size_t count, int64_t waiting)
{
	static unsigned id;
	char(*names)[32] = calloc(count + 1, sizeof(*names));
	const char **items = calloc(count + 1, sizeof(*items));
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "i%u=x", id++);
		items[i] = names[i];
	}
	hub_answer_lease(hub_open(&bench->hub, "lease"), count ? LEASE_EXECUTED : LEASE_EMPTY, waiting, items);
	free(names);
	free(items);
	step(bench, 0);
}

static void let_go(struct bench *bench, struct getter *getter)
{
	item_pool_return(bench->pool, getter->want.taker, &getter->got);
}

static void put_one_back(struct bench *bench, struct getter *getter)
{
	item_pool_put_back(bench->pool, getter->want.taker, item_list_shift(&getter->got));
}

static void test_batches_are_full_while_the_hub_has_more(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want_batch(bench, 0);
	struct getter *second = want_batch(bench, 1);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "max"), BATCH);
	give(bench, BATCH, 5000);
	assert_int_equal(first->got.count, BATCH);
	assert_int_equal(second->answers, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "max"), BATCH);
	give(bench, BATCH, 4000);
	assert_int_equal(second->got.count, BATCH);
	let_go(bench, first);
	let_go(bench, second);
}

static void test_batch_is_not_short_because_another_took_most_of_an_answer(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want_batch(bench, 0);
	give(bench, BATCH, 5000);
	while (first->got.count > 500)
		put_one_back(bench, first);
	/* Both are covered by the next call, which may ask for no more than a thousand. */
	struct getter *second = &bench->getter[1];
	second->want = (struct item_want){.taker = &bench->other, .min = BATCH, .max = BATCH, .blocking = true, .on_items = on_items};
	item_pool_want(bench->pool, &second->want);
	struct getter *third = want_batch(bench, 2);
	give(bench, BATCH, 4000);
	assert_int_equal(second->got.count, BATCH);
	assert_int_equal(third->answers, 0);
	give(bench, BATCH, 3000);
	assert_int_equal(third->got.count, BATCH);
	let_go(bench, first);
	let_go(bench, second);
	let_go(bench, third);
}

static void test_batch_is_what_is_here_when_the_hub_has_no_more(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want_batch(bench, 0);
	assert_true(post_number(hub_open(&bench->hub, "lease"), "wait") > 0); /* nothing is here: it may be held */
	give(bench, 300, 0);
	assert_int_equal(first->got.count, 300);
	/* Also where the hub says that more waits, but does not give it to us: it is out of bounds, or for others first. */
	let_go(bench, first);
	first = want_batch(bench, 0);
	give(bench, 20, 7000);
	assert_int_equal(first->got.count, 20);
	let_go(bench, first);
}

static void test_batch_waits_for_one_answer_and_not_for_a_held_call(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want_batch(bench, 0);
	give(bench, 300, 0);
	while (first->got.count > 100) /* 200 of them go back unseen */
		put_one_back(bench, first);
	struct getter *second = want_batch(bench, 1);
	assert_int_equal(second->answers, 0);
	assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "wait"), 0);
	give(bench, 0, 0);
	assert_int_equal(second->got.count, 200);
	/* One that comes while a call is held: the hub has nothing, or it would have answered. */
	struct getter *third = want_batch(bench, 2);
	const struct taken_post *post = hub_open(&bench->hub, "lease");
	assert_true(post_number(post, "wait") > 0);
	put_one_back(bench, second);
	step(bench, 0);
	assert_int_equal(third->answers, 0); /* it may be on its way still */
	step(bench, 100);
	assert_int_equal(third->got.count, 1);
	assert_true(post->open);
	let_go(bench, first);
	let_go(bench, second);
	let_go(bench, third);
}

static void test_batch_does_not_wait_for_a_hub_that_is_away(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want_batch(bench, 0);
	give(bench, BATCH, 9000);
	put_one_back(bench, first);
	struct getter *second = want_batch(bench, 1);
	assert_int_equal(second->answers, 0);
	hub_lose(hub_open(&bench->hub, "lease"));
	assert_int_equal(second->got.count, 1);
	put_one_back(bench, first);
	struct getter *third = want_batch(bench, 2); /* in the pause between two calls */
	assert_int_equal(third->got.count, 1);
	let_go(bench, first);
	let_go(bench, second);
	let_go(bench, third);
}

static void test_batches_are_taken_ahead_whole(void **state)
{
	struct bench *bench = *state;
	item_pool_note_service(bench->pool, 100ULL * 1000 * 1000, BATCH); /* 0.1 s for all */
	struct getter *first = want_batch(bench, 0);
	struct getter *second = want_batch(bench, 1);
	unsigned calls = 0;
	for (; hub_open(&bench->hub, "lease"); calls++) {
		assert_int_equal(post_number(hub_open(&bench->hub, "lease"), "max"), BATCH);
		give(bench, BATCH, 100000);
	}
	assert_int_equal(first->got.count, BATCH);
	assert_int_equal(second->got.count, BATCH);
	assert_true(calls >= 3);
	assert_int_equal(status_of(bench).unopened, (calls - 2) * BATCH);
	/* The next one is there at once. */
	struct item_list next = {0};
	let_go(bench, first);
	assert_int_equal(item_pool_pop(bench->pool, &bench->taker, BATCH, BATCH, &next), BATCH);
	step(bench, 0);
	assert_non_null(hub_open(&bench->hub, "lease"));
	item_pool_return(bench->pool, &bench->taker, &next);
	let_go(bench, second);
}

static void test_batches_that_take_long_are_not_taken_ahead(void **state)
{
	struct bench *bench = *state;
	item_pool_note_service(bench->pool, 20ULL * 1000 * 1000 * 1000, BATCH);
	struct getter *first = want_batch(bench, 0);
	while (hub_open(&bench->hub, "lease"))
		give(bench, (size_t)post_number(hub_open(&bench->hub, "lease"), "max"), 100000);
	assert_int_equal(first->got.count, BATCH);
	assert_true(status_of(bench).unopened < 10);
	let_go(bench, first);
}

static void test_item_to_be_alone_is_a_batch_of_its_own_however_long_it_waited(void **state)
{
	struct bench *bench = *state;
	struct getter *first = want_batch(bench, 0);
	hub_answer_lease(hub_open(&bench->hub, "lease"), LEASE_EXECUTED, 5000,
			 (const char *const[]){"a=1", "b=2!", "c=3", NULL});
	step(bench, 0);
	assert_int_equal(first->got.count, 2); /* a and c */
	put_one_back(bench, first); /* in front of it */
	let_go(bench, first);
	step(bench, 100 * 1000);
	struct item_list next = {0};
	assert_int_equal(item_pool_pop(bench->pool, &bench->taker, 1, BATCH, &next), 1);
	assert_false(next.first->alone);
	item_pool_return(bench->pool, &bench->taker, &next);
	assert_int_equal(item_pool_pop(bench->pool, &bench->taker, BATCH, BATCH, &next), 1);
	assert_true(next.first->alone);
	item_pool_return(bench->pool, &bench->taker, &next);
}

#define batch_test(name) cmocka_unit_test_setup_teardown(name, setup_batch, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		pool_test(test_first_lease_asks_for_the_wants_and_is_held),
		pool_test(test_lost_answer_is_asked_for_with_the_same_number),
		pool_test(test_empty_keeps_the_number),
		pool_test(test_broken_answer_counts_as_lost),
		pool_test(test_superseded_says_whether_it_was_accepted),
		pool_test(test_stale_number_jumps_ahead),
		pool_test(test_nil_only_after_a_call_that_began_after_the_pop),
		pool_test(test_nil_is_not_for_who_came_after_the_call_began),
		pool_test(test_no_nil_while_the_hub_is_away),
		pool_test(test_count_is_asked_for_when_it_is_not_known),
		pool_test(test_adoption_of_an_item_that_comes_again),
		pool_test(test_item_whose_failure_is_under_way_is_a_new_one),
		pool_test(test_slow_items_are_not_taken_ahead_and_fast_ones_are),
		pool_test(test_wants_are_served_in_their_order),
		pool_test(test_item_to_be_alone_is_the_only_one_in_its_slot),
		pool_test(test_commits_batch_by_themselves),
		pool_test(test_unanswered_commit_is_repeated_as_it_was),
		pool_test(test_duplicate_and_refused_are_final_and_counted),
		pool_test(test_unreadable_batch_is_told_one_by_one),
		pool_test(test_loose_writes_are_numbered),
		pool_test(test_pops_wait_while_too_much_is_kept),
		pool_test(test_inventory_lists_all_that_is_here),
		pool_test(test_holding_names_what_no_worker_has_seen),
		pool_test(test_drain_gives_back_what_is_not_open_and_tells_when_all_is_told),
		pool_test(test_forgotten_task_is_dropped),
		pool_test(test_unknown_node_is_to_register),
		pool_test(test_put_back_goes_to_the_next),
		batch_test(test_batches_are_full_while_the_hub_has_more),
		batch_test(test_batch_is_not_short_because_another_took_most_of_an_answer),
		batch_test(test_batch_is_what_is_here_when_the_hub_has_no_more),
		batch_test(test_batch_waits_for_one_answer_and_not_for_a_held_call),
		batch_test(test_batch_does_not_wait_for_a_hub_that_is_away),
		batch_test(test_batches_are_taken_ahead_whole),
		batch_test(test_batches_that_take_long_are_not_taken_ahead),
		batch_test(test_item_to_be_alone_is_a_batch_of_its_own_however_long_it_waited),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
