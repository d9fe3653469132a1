/* Owns the outcomes of items until the hub has acknowledged them. Called by the gateway's slots, which bring outcomes, and
 * by the pool's step.
 *
 *   queue: [ first … batch_count of them: under way, as they were ][ the rest waits and rides the next call ]
 *
 *   RESTING --an outcome--> SENDING --answered--> results taken, RESTING
 *                              +--no answer, 5xx--> PAUSING --> SENDING the very same bytes
 *                              +--413, 400--> once more, one outcome at a time: what is refused alone has failed
 *
 * Outcomes batch by themselves: one call under way, and a short while between two. Failure modes: the hub is away: outcomes
 * wait, counted against max_kept; a result that is too large for the hub: a failure of its items; results that are
 * duplicates or refused: final, counted, said. */
#include "node/item_pool_parts.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	TIMEOUT_MS = 60 * 1000,
	GAP_MS = 10,                   /* between the beginnings of two calls */
	BATCH_BYTES = 8 * 1024 * 1024, /* but one outcome always goes */
	BATCH_OUTCOMES = 2000,
	BATCH_VALUES = 500 * 1000,
	RESULT_VALUES = 900 * 1000,    /* of one outcome: the hub reads a million at most */
	ANSWER_MAX = 4 * 1024 * 1024,
	PATH_MAX_LEN = 512,
	OUTCOME_OVERHEAD = 64,
	ITEM_OVERHEAD = LIMIT_ITEM_ID + 32,
};

void writes_init(struct writes *writes)
{
	*writes = (struct writes){0};
	buf_init(&writes->bytes, LIMIT_RESULT);
}

void writes_done(struct writes *writes)
{
	buf_done(&writes->bytes);
	writes->count = writes->values = 0;
}

bool pool_is_full(const struct item_pool *pool)
{
	return pool->kept_bytes >= pool->options.max_kept;
}

/* ---- what closes ---- */

static void measure(struct outcome_kept *outcome)
{
	outcome->size = sizeof(*outcome) + outcome->writes.bytes.capacity + (outcome->error ? strlen(outcome->error) : 0);
	for (const struct item *item = outcome->items.first; item; item = item->next)
		outcome->size += sizeof(*item) + item->payload_len;
	outcome->values = 4 + 2 * outcome->items.count + outcome->writes.values;
}

static void release_items(struct item_pool *pool, struct item_taker *taker, struct item_list *items)
{
	pool->open -= items->count;
	taker->open -= items->count;
	for (const struct item *item = items->first; item; item = item->next) {
		if (item->alone)
			taker->open_alone--;
	}
}

static void free_outcome(struct item_pool *pool, struct outcome_kept *outcome)
{
	pool_free_items(pool, &outcome->items);
	writes_done(&outcome->writes);
	free(outcome->error);
	free(outcome);
}

static void enqueue(struct item_pool *pool, struct outcome_kept *outcome)
{
	measure(outcome);
	if (pool->last)
		pool->last->next = outcome;
	else
		pool->first = outcome;
	pool->last = outcome;
	pool->kept_count++;
	pool->kept_bytes += outcome->size;
	int64_t soonest = pool->commit.started_ms + GAP_MS;
	pool_schedule(pool, soonest > pool->commit.not_before_ms ? soonest : pool->commit.not_before_ms);
}

/* An outcome of this kind about the items, queued; NULL where it was dropped: the hub has forgotten the task, or there is
 * no memory (then the items stay with the hub's books until an inventory gives them back). */
static struct outcome_kept *outcome_new(struct item_pool *pool, enum outcome_kind kind, struct item_list *items)
{
	struct outcome_kept *outcome = pool->intake == INTAKE_LOST ? NULL : calloc(1, sizeof(*outcome));
	if (!outcome) {
		pool_free_items(pool, items);
		pool->inventory_wanted |= pool->intake != INTAKE_LOST;
		pool_schedule(pool, 0);
		return NULL;
	}
	outcome->kind = kind;
	item_list_append(&outcome->items, items);
	return outcome;
}

static char *too_large_error(void)
{
	return strdup("{\"reason\":\"result_too_large\"}");
}

void item_pool_done(struct item_pool *pool, struct item_taker *taker, struct item_list *items, struct writes *writes)
{
	if (items->count == 0)
		return;
	release_items(pool, taker, items);
	struct outcome_kept *outcome = outcome_new(pool, OUTCOME_DONE, items);
	if (!outcome) {
		writes_done(writes);
		writes_init(writes);
		return;
	}
	outcome->writes = *writes;
	writes_init(writes);
	if (outcome->writes.values > RESULT_VALUES) {
		outcome->kind = OUTCOME_FAIL;
		outcome->error = too_large_error();
		writes_done(&outcome->writes);
		for (struct item *item = outcome->items.first; item; item = item->next)
			pool_forget(pool, item);
	}
	enqueue(pool, outcome);
}

static void give_up(struct item_pool *pool, struct item_taker *taker, struct item_list *items, enum outcome_kind kind,
		    const char *error)
{
	if (items->count == 0)
		return;
	release_items(pool, taker, items);
	struct outcome_kept *outcome = outcome_new(pool, kind, items);
	if (!outcome)
		return;
	/* One that comes again from now on is a new item (R4). */
	for (struct item *item = outcome->items.first; item; item = item->next)
		pool_forget(pool, item);
	if (error)
		outcome->error = strdup(error);
	enqueue(pool, outcome);
}

void item_pool_fail(struct item_pool *pool, struct item_taker *taker, struct item_list *items, const char *error)
{
	give_up(pool, taker, items, OUTCOME_FAIL, error);
}

void item_pool_return(struct item_pool *pool, struct item_taker *taker, struct item_list *items)
{
	give_up(pool, taker, items, OUTCOME_RETURN, NULL);
}

int item_pool_write(struct item_pool *pool, struct writes *writes)
{
	if (pool_is_full(pool))
		return ERR_TOO_BIG;
	struct item_list none = {0};
	struct outcome_kept *outcome = outcome_new(pool, OUTCOME_WRITE, &none);
	if (!outcome)
		return pool->intake == INTAKE_LOST ? ERR_NOT_FOUND : ERR_NOMEM;
	outcome->writes = *writes;
	outcome->number = pool->next_loose++;
	writes_init(writes);
	enqueue(pool, outcome);
	return 0;
}

/* ---- a batch ---- */

static struct outcome_item *pairs_of(const struct item_list *items)
{
	struct outcome_item *pairs = malloc((items->count + 1) * sizeof(*pairs));
	size_t i = 0;
	for (const struct item *item = pairs ? items->first : NULL; item; item = item->next)
		pairs[i++] = (struct outcome_item){.id = item->id, .id_len = item->id_len, .number = item->number};
	return pairs;
}

static int add_outcome(struct buf *into, const struct outcome_kept *outcome)
{
	AUTO_FREE struct outcome_item *pairs = pairs_of(&outcome->items);
	size_t count = outcome->items.count;
	const char *error = outcome->error ? outcome->error : "{}";
	if (!pairs)
		return ERR_NOMEM;
	switch (outcome->kind) {
	case OUTCOME_DONE: return commit_add_done(into, pairs, count, &outcome->writes.bytes, outcome->writes.count);
	case OUTCOME_WRITE:
		return commit_add_write(into, outcome->number, &outcome->writes.bytes, outcome->writes.count);
	case OUTCOME_FAIL: return commit_add_fail(into, pairs, count, count > 1, error, strlen(error));
	case OUTCOME_RETURN: return commit_add_return(into, pairs, count);
	}
	return ERR_INTERNAL;
}

static size_t wire_size(const struct outcome_kept *outcome)
{
	return OUTCOME_OVERHEAD + outcome->writes.bytes.len + outcome->items.count * ITEM_OVERHEAD +
	       (outcome->error ? strlen(outcome->error) : 0);
}

/* How many of the queue go together. */
static size_t choose(const struct item_pool *pool)
{
	size_t count = 0;
	size_t bytes = 0;
	size_t values = 1;
	for (const struct outcome_kept *outcome = pool->first; outcome; outcome = outcome->next) {
		bytes += wire_size(outcome);
		values += outcome->values;
		if (count > 0 && (bytes > BATCH_BYTES || values > BATCH_VALUES))
			break;
		if (count == BATCH_OUTCOMES || count == pool->batch_max)
			break;
		count++;
	}
	return count;
}

static int build(struct item_pool *pool)
{
	size_t count = choose(pool);
	buf_clear(&pool->batch);
	int rc = commit_begin(&pool->batch, count);
	const struct outcome_kept *outcome = pool->first;
	for (size_t i = 0; i < count && !rc; i++, outcome = outcome->next)
		rc = add_outcome(&pool->batch, outcome);
	pool->batch_count = rc ? 0 : count;
	return rc;
}

/* ---- its answer ---- */

static void count_outcome(struct item_pool *pool, const struct outcome_kept *outcome)
{
	size_t items = outcome->items.count;
	switch (outcome->kind) {
	case OUTCOME_DONE:
		pool->counters.done += items;
		pool->counters.empty += outcome->writes.count ? 0 : items;
		break;
	case OUTCOME_FAIL: pool->counters.failed += items; break;
	case OUTCOME_RETURN: pool->counters.returned += items; break;
	case OUTCOME_WRITE: break;
	}
}

static void drop_first(struct item_pool *pool)
{
	struct outcome_kept *outcome = pool->first;
	pool->first = outcome->next;
	if (!pool->first)
		pool->last = NULL;
	pool->kept_count--;
	pool->kept_bytes -= outcome->size;
	free_outcome(pool, outcome);
}

void pool_commit_drop(struct item_pool *pool)
{
	if (pool->commit.handle)
		pool->options.hub->cancel(pool->options.hub_context, pool->commit.handle);
	pool->commit.handle = NULL;
	while (pool->first)
		drop_first(pool);
	pool->batch_count = 0;
}

/* The hub cannot even read it. A lone outcome is given up: a result becomes a failure of its items. */
static void on_unreadable(struct item_pool *pool, int status)
{
	struct outcome_kept *outcome = pool->first;
	bool alone = pool->batch_count == 1;
	pool->batch_count = 0;
	pool->batch_max = 1;
	if (!alone)
		return;
	log_error(pool->subject, "the hub cannot read an outcome (%d): it is given up", status);
	pool->counters.refused++;
	if (outcome->kind != OUTCOME_DONE) {
		drop_first(pool);
		return;
	}
	pool->kept_bytes -= outcome->size;
	outcome->kind = OUTCOME_FAIL;
	outcome->error = too_large_error();
	writes_done(&outcome->writes);
	for (struct item *item = outcome->items.first; item; item = item->next)
		pool_forget(pool, item);
	measure(outcome);
	pool->kept_bytes += outcome->size;
}

/* In the order of the batch, so it is about the first that is left of it. */
static void on_result(void *context, size_t index, enum outcome_result result, const char *message)
{
	struct item_pool *pool = context;
	(void)index;
	switch (result) {
	case OUTCOME_ACCEPTED: count_outcome(pool, pool->first); break;
	case OUTCOME_DUPLICATE: pool->counters.duplicates++; break;
	case OUTCOME_REFUSED:
		pool->counters.refused++;
		log_warn(pool->subject, "the hub refused a result, and its items have failed: %.200s", message ? message : "");
		break;
	}
	drop_first(pool);
	pool->batch_count--;
}

static void on_answer(void *context, const struct http_result *result)
{
	struct item_pool *pool = context;
	if (!result->error && (result->status == 413 || result->status == 400)) {
		pool_call_done(pool, &pool->commit);
		on_unreadable(pool, result->status);
		return;
	}
	AUTO_JSON json_t *answer =
		!result->error && result->status == 200 ? json_loadb(result->body, result->body_len, 0, NULL) : NULL;
	struct err err = {0};
	struct http_result broken = *result;
	if (answer && commit_answer_parse(answer, pool->batch_count, on_result, pool, &err)) {
		broken.error = ERR_PROTOCOL;
		broken.text = err.text;
	}
	if (!answer || broken.error) {
		pool_call_failed(pool, &pool->commit, &broken, "a commit");
		if (pool_answer_loses(pool, result))
			pool_lose(pool);
		return;
	}
	pool_average(&pool->rtt_ms, pool_now(pool) - pool->commit.started_ms);
	pool_call_done(pool, &pool->commit);
	pool->batch_max = SIZE_MAX;
}

void pool_commit_step(struct item_pool *pool, int64_t now)
{
	struct pool_call *call = &pool->commit;
	if (call->handle || !pool->first || pool->intake == INTAKE_LOST)
		return;
	int64_t soonest = call->started_ms + GAP_MS;
	if (call->not_before_ms > soonest)
		soonest = call->not_before_ms;
	if (now < soonest) {
		pool_schedule(pool, soonest);
		return;
	}
	if (pool->batch_count == 0 && build(pool)) {
		pool_schedule(pool, now + 1000); /* no memory */
		return;
	}
	char path[PATH_MAX_LEN];
	(void)snprintf(path, sizeof(path), "/gridnode/commit?task_id=%s&epoch=%lld", pool->task_id,
		       (long long)pool->options.epoch);
	const struct hub_post post = {
		.path = path,
		.content_type = RESP_CONTENT_TYPE,
		.body = pool->batch.data,
		.body_len = pool->batch.len,
		.timeout_ms = TIMEOUT_MS,
		.max_answer = ANSWER_MAX,
		.context = pool,
		.on_done = on_answer,
	};
	(void)pool_call_start(pool, call, &post);
}
