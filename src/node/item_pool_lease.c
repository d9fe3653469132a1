/* Owns the lease calls: when one is made, how much it asks for, and what its answer means. Called by the pool's step.
 *
 *   RESTING --too few items--> ASKING(n) --executed--> RESTING, n + 1
 *      ^                         |  |  \--empty--> RESTING: same n; who does not wait is told so, if the call was not held
 *      |                         |  +--no answer, 5xx, blocked--> PAUSING --> RESTING: same n
 *      |                         +--somebody comes who does not wait, and the call is held--> cancelled: same n, not held
 *      +--item_pool_identify: n = 1--SUPERSEDED <--superseded          closed --> CLOSED
 *
 * How many: as many as wait, and ahead of them what the workers use up while a call travels: slots / (time they have an
 * item) × (twice the round trip and some), in whole batches. Slow items: none ahead. Bytes are bounded too.
 *
 * Failure modes: an answer is lost: n brings the same again (R3). An answer is a late one, to a call that was given up:
 * cancelled calls have no answers. `stale`: numbers of this queue have been used by an earlier pool of this agent: n jumps
 * ahead, further each time. The answer is no answer: as if it were lost. */
#include "node/item_pool_parts.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	WAIT_S = 30,
	TIMEOUT_MS = 15 * 1000,       /* beyond the wait */
	POLL_GAP_MS = 50,             /* between calls that are not held: a worker may poll in a tight loop */
	AHEAD_MS = 40,                /* beyond twice the round trip */
	AHEAD_MAX = 2000,             /* items */
	AHEAD_BYTES = 4 * 1024 * 1024,
	LEAST_BYTES = 64 * 1024,
	BLOCKED_PAUSE_MS = 2000,
	JUMP_MAX = 1 << 20,
};

/* How many are to be here beyond what is asked for. */
static size_t ahead(const struct item_pool *pool)
{
	if (pool->service_ns == 0 || pool->unopened_bytes >= AHEAD_BYTES)
		return 0;
	double horizon_ms = 2.0 * (double)(pool->rtt_ms > 0 ? pool->rtt_ms : 0) + AHEAD_MS;
	double items = (double)pool->takers * horizon_ms * 1e6 / (double)pool->service_ns;
	return pool_fill_whole(pool, items > 1e9 ? (size_t)1e9 : (size_t)items, AHEAD_MAX);
}

static struct item *new_item(const struct leased_item *leased, int64_t number, int64_t now)
{
	struct item *item = malloc(sizeof(*item) + leased->payload_len + 1);
	if (!item)
		return NULL;
	*item = (struct item){.payload_len = leased->payload_len,
			      .id_len = leased->id_len,
			      .number = number,
			      .failures = leased->failures,
			      .alone = leased->alone,
			      .came_ms = now};
	char *payload = (char *)(item + 1);
	memcpy(payload, leased->payload, leased->payload_len);
	payload[leased->payload_len] = '\0';
	item->payload = payload;
	memcpy(item->id, leased->id, leased->id_len);
	return item;
}

static void take_item(void *context, const struct leased_item *leased)
{
	struct item_pool *pool = context;
	pool->lease_got++;
	struct item *known = pool_find(pool, leased->id, leased->id_len);
	if (known) {
		known->number = pool->n;
		return;
	}
	struct item *item = new_item(leased, pool->n, pool_now(pool));
	if (!item || !pool_know(pool, item)) {
		free(item);
		pool->inventory_wanted = true; /* it is not in that, and so goes back */
		return;
	}
	item_list_push(&pool->unopened, item);
	pool->unopened_bytes += item->payload_len;
	pool->counters.leased++;
}

static void jump_ahead(struct item_pool *pool)
{
	log_debug(pool->subject, "lease number %lld is stale", (long long)pool->n);
	pool->n += pool->jump;
	if (pool->jump < JUMP_MAX)
		pool->jump *= 2;
}

/* Not held: its duration is the round trip, its `empty` is the truth of just now. */
static void take_measure(struct item_pool *pool)
{
	pool_average(&pool->rtt_ms, pool_now(pool) - pool->lease.started_ms);
}

static void take_status(struct item_pool *pool, const struct lease_answer *answer)
{
	pool->blocked = answer->status == LEASE_BLOCKED;
	if (answer->status == LEASE_EXECUTED || answer->status == LEASE_EMPTY) {
		pool->accepted = true;
		pool->waiting = answer->waiting;
	}
	switch (answer->status) {
	case LEASE_EXECUTED:
		pool->n++;
		break;
	case LEASE_EMPTY:
		break;
	case LEASE_STALE:
		jump_ahead(pool);
		break;
	case LEASE_SUPERSEDED:
		pool->intake = INTAKE_SUPERSEDED;
		break;
	case LEASE_CLOSED:
		pool->intake = INTAKE_CLOSED;
		pool->waiting = 0;
		break;
	case LEASE_BLOCKED:
		pool->lease.not_before_ms = pool_now(pool) + BLOCKED_PAUSE_MS;
		pool_schedule(pool, pool->lease.not_before_ms);
		break;
	}
}

static void ignore_item(void *context, const struct leased_item *item)
{
	(void)context;
	(void)item;
}

/* Whoever waits for more than is here goes on with that. */
static void on_trouble(struct item_pool *pool, const struct http_result *result)
{
	pool_call_failed(pool, &pool->lease, result, "a lease call");
	if (pool_answer_loses(pool, result))
		pool_lose(pool);
	pool_fill_settle(pool, true);
	pool_serve(pool, SERVE_ITEMS);
}

static bool has_no_more(const struct item_pool *pool, const struct lease_answer *answer)
{
	return answer->status != LEASE_STALE && (pool->lease_got < pool->lease_max || answer->waiting == 0);
}

static void on_answer(void *context, const struct http_result *result)
{
	struct item_pool *pool = context;
	struct lease_answer answer = {0};
	struct err err = {0};
	struct http_result broken = *result;
	if (result->error || result->status != 200) {
		on_trouble(pool, result);
		return;
	}
	pool->lease_got = 0;
	/* Twice, so that nothing is taken out of an answer that is none; the second time it cannot fail but for memory. */
	int rc = lease_answer_parse(result->body, result->body_len, &answer, ignore_item, NULL, &err);
	if (!rc && (answer.status == LEASE_EXECUTED) && answer.n != pool->n)
		rc = err_set(&err, ERR_PROTOCOL, "an answer to another lease call");
	if (!rc)
		rc = lease_answer_parse(result->body, result->body_len, &answer, take_item, pool, &err);
	if (rc) {
		broken.error = rc;
		broken.text = err.text;
		on_trouble(pool, &broken);
		return;
	}
	bool held = pool->lease_wait_s > 0 && (answer.status == LEASE_EMPTY || answer.waiting == 0);
	if (!held)
		take_measure(pool);
	pool_call_done(pool, &pool->lease);
	take_status(pool, &answer);
	if (pool->options.on_news && (answer.version != pool->options.version || answer.stop_requested))
		pool->options.on_news(pool->options.context, answer.version, answer.stop_requested);
	if (answer.status == LEASE_SUPERSEDED) {
		pool->options.on_superseded(pool->options.context, pool->accepted);
		return;
	}
	bool polled = pool->lease_wait_s == 0 && answer.status == LEASE_EMPTY;
	if (polled)
		pool->polled_ms = pool->lease.started_ms;
	pool_fill_settle(pool, has_no_more(pool, &answer));
	pool_serve(pool, polled || pool->intake == INTAKE_CLOSED ? SERVE_NOTHING : SERVE_COUNT);
}

void pool_lease_give_up(struct item_pool *pool)
{
	if (!pool->lease.handle)
		return;
	pool->options.hub->cancel(pool->options.hub_context, pool->lease.handle);
	pool->lease.handle = NULL;
}

static void start(struct item_pool *pool, size_t max, int64_t wait_s)
{
	size_t room = pool->unopened_bytes < AHEAD_BYTES ? AHEAD_BYTES - pool->unopened_bytes : 0;
	const struct lease_request request = {
		.node_id = pool->node_id,
		.epoch = pool->options.epoch,
		.task_id = pool->task_id,
		.n = pool->n,
		.max = max > LIMIT_LEASE_ITEMS ? LIMIT_LEASE_ITEMS : (json_int_t)max,
		.bytes = room > LEAST_BYTES ? (json_int_t)room : LEAST_BYTES,
		.wait_s = wait_s,
		.version = pool->options.version,
	};
	AUTO_JSON json_t *object = lease_request_encode(&request);
	AUTO_FREE char *body = object ? json_dumps(object, JSON_COMPACT) : NULL;
	const struct hub_post post = {
		.path = "/gridnode/lease",
		.content_type = "application/json",
		.body = body ? body : "",
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = wait_s * 1000 + TIMEOUT_MS,
		.max_answer = LIMIT_LEASE_ANSWER,
		.context = pool,
		.on_done = on_answer,
	};
	pool->lease_wait_s = wait_s;
	pool->lease_max = (size_t)request.max;
	if (!pool_call_start(pool, &pool->lease, &post))
		return;
	for (struct item_want *want = pool->first_want; want; want = want->next)
		want->fresh = false;
}

/* The task has ended: the hub has said that nothing comes. */
static void tell_nothing(struct item_pool *pool)
{
	for (struct item_want *want = pool->first_want; want; want = want->next)
		want->fresh = false;
	pool_serve(pool, SERVE_NOTHING);
}

void pool_lease_step(struct item_pool *pool, int64_t now)
{
	if (pool->draining || pool->intake == INTAKE_SUPERSEDED)
		return;
	if (pool->intake != INTAKE_OPEN) {
		if (pool->first_want)
			tell_nothing(pool);
		return;
	}
	bool impatient = pool_has_impatient(pool);
	if (impatient && now - pool->polled_ms < POLL_GAP_MS) {
		pool_schedule(pool, pool->polled_ms + POLL_GAP_MS);
		return;
	}
	if (pool->lease.handle && impatient && pool->lease_wait_s > 0)
		pool_lease_give_up(pool);
	if (pool->lease.handle || pool_is_full(pool))
		return;
	if (now < pool->lease.not_before_ms) {
		pool_schedule(pool, pool->lease.not_before_ms);
		return;
	}
	size_t wanted = pool_wanted(pool);
	size_t target = ahead(pool);
	size_t here = pool->unopened.count;
	pool->low_water = target / 2;
	if (wanted == 0 && !impatient && (target == 0 || here > target / 2))
		return;
	size_t max = wanted + target > here ? wanted + target - here : 0;
	if (max == 0 && impatient)
		max = 1;
	if (max > 0)
		start(pool, max, impatient || pool_fill_is_urgent(pool) ? 0 : WAIT_S);
}
