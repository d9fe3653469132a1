/* Owns the patience of those who want many items at once (a batch of exec): when they have enough, and when fewer will do.
 * Called by the pool; never makes a call itself.
 *
 *   a want of `min`:  UNSETTLED --so many are here--> served
 *                        |   ^
 *     the hub has no more |   | a call brought all that it had asked for
 *                        v   |
 *                     SETTLED --one is here--> served with what is here
 *
 * The hub has no more at once: it gave less than a call that covered the want asked for, or does not answer for longer than a
 * call takes (it holds the call, so nothing is there), or cannot be asked. Bounds of bytes show as a short answer too. */
#include "node/item_pool_parts.h"

#include <stdlib.h>

enum { PATIENCE_MS = 40 }; /* beyond twice the round trip: a call that is out for longer is held */

static bool wants_many(const struct item_want *want)
{
	return want->blocking && want->min > 1;
}

/* One that is to be alone comes first: nothing goes with it. */
static bool begins_alone(const struct item_pool *pool, const struct item_taker *taker)
{
	return pool->unopened.first && pool->unopened.first->alone && taker->open == 0;
}

bool pool_has_enough(const struct item_pool *pool, const struct item_taker *taker, size_t min)
{
	return pool->unopened.count >= min || begins_alone(pool, taker);
}

size_t pool_fill_min(const struct item_want *want)
{
	return wants_many(want) && want->settled ? 1 : want->min;
}

void pool_fill_settle(struct item_pool *pool, bool no_more)
{
	for (struct item_want *want = pool->first_want; want; want = want->next) {
		if (!want->fresh)
			want->settled = no_more;
	}
}

bool pool_fill_is_urgent(const struct item_pool *pool)
{
	for (const struct item_want *want = pool->first_want; want; want = want->next) {
		if (wants_many(want) && !want->settled && pool->unopened.count > 0)
			return true;
	}
	return false;
}

void pool_fill_step(struct item_pool *pool, int64_t now)
{
	if (!pool_fill_is_urgent(pool))
		return;
	bool asks = pool->lease.handle != NULL;
	int64_t until_ms = pool->lease.started_ms + PATIENCE_MS + (pool->rtt_ms > 0 ? 2 * pool->rtt_ms : 0);
	bool cannot_ask = !asks && (pool->intake != INTAKE_OPEN || now < pool->lease.not_before_ms);
	if (asks && now < until_ms) {
		pool_schedule(pool, until_ms);
		return;
	}
	if (!asks && !cannot_ask)
		return; /* the call that is made now tells */
	for (struct item_want *want = pool->first_want; want; want = want->next)
		want->settled = true;
}

size_t pool_fill_whole(const struct item_pool *pool, size_t items, size_t most)
{
	enum { RARE = 20 }; /* a batch lasts for so many times what a call takes: it may as well be asked for when it is wanted */
	size_t batch = pool->options.batch;
	if (batch <= 1 || items * RARE < pool->takers * batch)
		return items < most ? items : most;
	size_t batches = (items + batch - 1) / batch;
	size_t whole = most / batch ? most / batch : 1;
	return batch * (batches < whole ? batches : whole);
}
