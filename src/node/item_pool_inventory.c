/* Owns the inventory calls (R6): what this node has, so that the hub gives all else back. Called by the pool's step.
 *
 *   due each minute, when a lease call was given up, when items were dropped, and at the end
 *   RESTING --wanted--> SENDING --answered--> RESTING      no answer: after a pause, with what is here then
 *
 * Failure modes: an answer is lost: saying it again is harmless. It crosses with a lease: what that brings has a number
 * above r, and is not touched. */
#include "node/item_pool_parts.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <string.h>

enum { TIMEOUT_MS = 30 * 1000, ANSWER_MAX = 64 * 1024 };

static int add_pair(json_t *pairs, const struct item *item)
{
	json_t *pair = json_array();
	int rc = json_array_append_new(pair, json_stringn(item->id, item->id_len));
	rc |= json_array_append_new(pair, json_integer(item->number));
	return rc | json_array_append_new(pairs, pair);
}

/* All that this node has: unopened, open, done but not acknowledged; and what is on its way back. */
static json_t *list_pairs(const struct item_pool *pool)
{
	json_t *pairs = json_array();
	int rc = 0;
	for (const struct item *item = pool->by_id; item; item = item->hh.next)
		rc |= add_pair(pairs, item);
	for (const struct outcome_kept *outcome = pool->first; outcome; outcome = outcome->next) {
		for (const struct item *item = outcome->items.first; item; item = item->next)
			rc |= item->known ? 0 : add_pair(pairs, item);
	}
	if (!rc)
		return pairs;
	json_decref(pairs);
	return NULL;
}

static void on_answer(void *context, const struct http_result *result)
{
	struct item_pool *pool = context;
	if (result->error || result->status != 200) {
		pool->inventory_wanted = true;
		pool_call_failed(pool, &pool->inventory, result, "an inventory");
		if (pool_answer_loses(pool, result))
			pool_lose(pool);
		return;
	}
	AUTO_JSON json_t *answer = json_loadb(result->body, result->body_len, 0, NULL);
	json_int_t returned = json_integer_value(json_object_get(answer, "returned"));
	if (returned > 0)
		log_debug(pool->subject, "the hub took %lld items back that are not here", (long long)returned);
	pool->left |= pool->inventory_leaves;
	pool_call_done(pool, &pool->inventory);
}

static void start(struct item_pool *pool)
{
	bool leaves = pool->leave && pool->draining && !pool->by_id && !pool->first;
	AUTO_JSON json_t *pairs = list_pairs(pool);
	const struct inventory_request request = {
		.node_id = pool->node_id,
		.epoch = pool->options.epoch,
		.task_id = pool->task_id,
		.r = pool->n - 1,
		.pairs = pairs,
		.leave = leaves,
	};
	AUTO_JSON json_t *object = pairs ? inventory_request_encode(&request) : NULL;
	AUTO_FREE char *body = object ? json_dumps(object, JSON_COMPACT) : NULL;
	if (!body) {
		pool_schedule(pool, pool_now(pool) + 1000); /* no memory */
		return;
	}
	const struct hub_post post = {
		.path = "/gridnode/inventory",
		.content_type = "application/json",
		.body = body,
		.body_len = strlen(body),
		.timeout_ms = TIMEOUT_MS,
		.max_answer = ANSWER_MAX,
		.context = pool,
		.on_done = on_answer,
	};
	pool->inventory_leaves = leaves;
	if (pool_call_start(pool, &pool->inventory, &post))
		pool->inventory_wanted = false;
}

void pool_inventory_step(struct item_pool *pool, int64_t now)
{
	if (!pool->inventory_wanted || pool->inventory.handle || pool->intake == INTAKE_LOST)
		return;
	if (now < pool->inventory.not_before_ms)
		pool_schedule(pool, pool->inventory.not_before_ms);
	else
		start(pool);
}
