/* Owns the items of one task that this node holds, and those who wait for one. Called by the gateway's slots and the agent;
 * never touches a socket, never decides when an item is done.
 *
 *   lease answer --> UNOPENED --item_pool_pop, on_items--> OPEN --done, fail, return--> KEPT --acknowledged--> gone
 *                      ^  |                                 |
 *                      |  +--drain: dropped, the inventory  |
 *                      |     gives it back                  |
 *                      +---------put_back-------------------+
 *
 * An id that comes again (R4): UNOPENED, OPEN or KEPT as done, the item takes the new number and stays what it is; KEPT as
 * failed or returned, it is a new item. So the table by id holds all but those.
 *
 * Failure modes: the hub is away, refuses or answers nonsense: each of the three calls is repeated with growing pauses; the
 * workers go on with what is here; outcomes are kept up to max_kept, from where on pops wait. The hub has forgotten the
 * task: all is dropped. Memory runs out at a lease: an inventory gives back
 * what is not here. */
#include "node/item_pool_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	DEFAULT_MAX_KEPT = 64 * 1024 * 1024,
	BACKOFF_BASE_MS = 1000,
	BACKOFF_MAX_MS = 60 * 1000,
	AUDIT_MS = 60 * 1000,
	ALONE_MS = 60 * 1000, /* how long an item that wants to be alone makes others wait, and waits itself */
};

static void on_timer(uv_timer_t *timer)
{
	item_pool_step(timer->data);
}

int64_t pool_now(const struct item_pool *pool)
{
	return pool->options.now_ms ? pool->options.now_ms() : clock_monotonic_ms();
}

void pool_schedule(struct item_pool *pool, int64_t at_ms)
{
	if (at_ms >= pool->due_ms || pool->closing)
		return;
	int64_t wait = at_ms - pool_now(pool);
	pool->due_ms = at_ms;
	(void)uv_timer_start(&pool->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
}

static void schedule_now(struct item_pool *pool)
{
	pool_schedule(pool, 0);
}

/* ---- calls to the hub ---- */

static void pause_call(struct item_pool *pool, struct pool_call *call)
{
	call->not_before_ms = pool_now(pool) + backoff_next_ms(&call->backoff, random_u32());
	pool_schedule(pool, call->not_before_ms);
}

bool pool_call_start(struct item_pool *pool, struct pool_call *call, const struct hub_post *post)
{
	call->started_ms = pool_now(pool);
	call->handle = pool->options.hub->start(pool->options.hub_context, post);
	if (!call->handle)
		pause_call(pool, call);
	return call->handle != NULL;
}

void pool_call_failed(struct item_pool *pool, struct pool_call *call, const struct http_result *result, const char *what)
{
	call->handle = NULL;
	pause_call(pool, call);
	enum err_code trouble = result->error ? (enum err_code)result->error : ERR_PROTOCOL;
	if (pool->trouble == trouble)
		return; /* texts differ in their milliseconds alone */
	pool->trouble = trouble;
	if (result->error)
		log_warn(pool->subject, "the hub does not answer to %s: %s; trying again, workers go on with what is here", what,
			 result->text);
	else
		log_warn(pool->subject, "the hub answered %d to %s; trying again, workers go on with what is here",
			 result->status, what);
}

void pool_call_done(struct item_pool *pool, struct pool_call *call)
{
	call->handle = NULL;
	call->not_before_ms = INT64_MIN;
	backoff_reset(&call->backoff);
	if (pool->trouble)
		log_info(pool->subject, "the hub answers again");
	pool->trouble = ERR_OK;
	schedule_now(pool);
}

bool pool_answer_loses(struct item_pool *pool, const struct http_result *result)
{
	if (result->error || (result->status != 404 && result->status != 401))
		return false;
	AUTO_JSON json_t *body = json_loadb(result->body, result->body_len, 0, NULL);
	const char *code = json_string_value(json_object_get(json_object_get(body, "error"), "code"));
	if (result->status == 404 && code && strcmp(code, "unknown_task") == 0)
		return true;
	if (result->status == 401 || (code && strcmp(code, "unknown_node") == 0))
		pool->options.on_unknown(pool->options.context);
	return false;
}

void pool_lose(struct item_pool *pool)
{
	if (pool->intake == INTAKE_LOST)
		return;
	log_warn(pool->subject, "the hub has forgotten this task: its items and results on this node are dropped");
	pool->intake = INTAKE_LOST;
	pool_lease_give_up(pool);
	pool_commit_drop(pool);
	pool_free_items(pool, &pool->unopened);
	pool->unopened_bytes = 0;
	pool->inventory_wanted = false;
	schedule_now(pool);
}

/* ---- the table by id ---- */

bool pool_know(struct item_pool *pool, struct item *item)
{
	HASH_ADD_KEYPTR(hh, pool->by_id, item->id, item->id_len, item);
	item->known = item->hh.tbl != NULL;
	return item->known;
}

void pool_forget(struct item_pool *pool, struct item *item)
{
	if (item->known)
		HASH_DELETE(hh, pool->by_id, item);
	item->known = false;
}

struct item *pool_find(struct item_pool *pool, const char *id, size_t id_len)
{
	struct item *item = NULL;
	HASH_FIND(hh, pool->by_id, id, id_len, item);
	return item;
}

void pool_free_items(struct item_pool *pool, struct item_list *items)
{
	for (struct item *item; (item = item_list_shift(items));) {
		pool_forget(pool, item);
		free(item);
	}
}

/* ---- those who want items ---- */

static bool is_forced(int64_t since_ms, int64_t now)
{
	return now - since_ms >= ALONE_MS;
}

static bool may_take(const struct item_taker *taker, int64_t now)
{
	return taker->open_alone == 0 || is_forced(taker->alone_ms, now);
}

/* An item that wants to be alone goes to a slot that has nothing open, and nothing goes with it. Workers of batches have nothing
 * open when they ask, so that it need never be forced on them. */
static bool fits(const struct item_pool *pool, const struct item *item, const struct item_taker *taker,
		 const struct item_list *into, int64_t now)
{
	if (!item->alone || (taker->open == 0 && into->count == 0))
		return true;
	return pool->options.batch <= 1 && is_forced(item->came_ms, now);
}

static void open_item(struct item_pool *pool, struct item_taker *taker, struct item *item, int64_t now)
{
	item_list_remove(&pool->unopened, item);
	pool->unopened_bytes -= item->payload_len;
	pool->open++;
	taker->open++;
	item->opened_ms = now;
	if (!item->alone)
		return;
	if (taker->open_alone++ == 0)
		taker->alone_ms = now;
}

static size_t take(struct item_pool *pool, struct item_taker *taker, size_t max, struct item_list *into, int64_t now)
{
	size_t before = into->count;
	struct item *next = NULL;
	for (struct item *item = pool->unopened.first; item && into->count - before < max; item = next) {
		next = item->next;
		if (!fits(pool, item, taker, into, now))
			continue;
		open_item(pool, taker, item, now);
		item_list_push(into, item);
		if (item->alone)
			break;
	}
	return into->count - before;
}

size_t item_pool_pop(struct item_pool *pool, struct item_taker *taker, size_t min, size_t max, struct item_list *into)
{
	int64_t now = pool_now(pool);
	if (pool->first_want || pool->draining || pool_is_full(pool) || !pool_has_enough(pool, taker, min) ||
	    !may_take(taker, now))
		return 0;
	size_t taken = take(pool, taker, max, into, now);
	if (pool->unopened.count <= pool->low_water)
		schedule_now(pool);
	return taken;
}

static void unlink_want(struct item_pool *pool, struct item_want *want)
{
	if (want->prev)
		want->prev->next = want->next;
	else
		pool->first_want = want->next;
	if (want->next)
		want->next->prev = want->prev;
	else
		pool->last_want = want->prev;
	want->next = want->prev = NULL;
	want->waiting = false;
}

void item_pool_want(struct item_pool *pool, struct item_want *want)
{
	assert(!want->waiting);
	want->waiting = want->fresh = true;
	want->settled = false;
	want->next = NULL;
	want->prev = pool->last_want;
	if (pool->last_want)
		pool->last_want->next = want;
	else
		pool->first_want = want;
	pool->last_want = want;
	schedule_now(pool);
}

void item_pool_unwant(struct item_pool *pool, struct item_want *want)
{
	if (want->waiting)
		unlink_want(pool, want);
}

/* What this one gets now; *answered when it gets its answer, be it nothing. */
static void try_want(struct item_pool *pool, struct item_want *want, enum serving serving, struct item_list *items,
		     bool *answered)
{
	int64_t now = pool_now(pool);
	bool told = serving == SERVE_NOTHING && !want->blocking && !want->fresh;
	size_t min = told ? 0 : pool_fill_min(want);
	if (want->min == 0) {
		*answered = (serving != SERVE_ITEMS && !want->fresh) || pool->unopened.count > 0;
		return;
	}
	bool can = !pool->draining && !pool_is_full(pool) && may_take(want->taker, now);
	if (can && pool_has_enough(pool, want->taker, min))
		(void)take(pool, want->taker, want->max, items, now);
	*answered = items->count > 0 || (told && !pool->draining);
}

void pool_serve(struct item_pool *pool, enum serving serving)
{
	struct item_want *want = pool->first_want;
	while (want) {
		struct item_list items = {0};
		bool answered = false;
		try_want(pool, want, serving, &items, &answered);
		if (!answered) {
			want = want->next;
			continue;
		}
		unlink_want(pool, want);
		want->on_items(want, &items);
		want = pool->first_want; /* anything may have changed */
	}
}

bool pool_has_impatient(const struct item_pool *pool)
{
	for (const struct item_want *want = pool->first_want; want; want = want->next) {
		if (!want->blocking && (want->fresh || !pool->lease.handle))
			return true;
	}
	return false;
}

size_t pool_wanted(const struct item_pool *pool)
{
	int64_t now = pool_now(pool);
	size_t wanted = 0;
	for (const struct item_want *want = pool->first_want; want; want = want->next) {
		if (may_take(want->taker, now))
			wanted += want->max;
	}
	return wanted;
}

void item_pool_put_back(struct item_pool *pool, struct item_taker *taker, struct item *item)
{
	pool->open--;
	taker->open--;
	if (item->alone)
		taker->open_alone--;
	item->session = NULL;
	item->list = NULL;
	item->wrote = 0;
	item->landed = false;
	item_list_push_front(&pool->unopened, item);
	pool->unopened_bytes += item->payload_len;
	schedule_now(pool);
}

void item_pool_attach(struct item_pool *pool, struct item_taker *taker)
{
	*taker = (struct item_taker){0};
	pool->takers++;
}

void item_pool_detach(struct item_pool *pool, struct item_taker *taker)
{
	assert(taker->open == 0);
	pool->takers--;
	schedule_now(pool);
}

void item_pool_note_service(struct item_pool *pool, uint64_t ns, size_t items)
{
	uint64_t sample = ns / (items ? items : 1) + 1;
	pool->service_ns = pool->service_ns ? (pool->service_ns * 7 + sample) / 8 : sample;
}

void item_pool_note_concurrent(struct item_pool *pool)
{
	pool->counters.concurrent++;
}

int64_t item_pool_count(const struct item_pool *pool)
{
	return pool->waiting < 0 ? -1 : pool->waiting + (int64_t)pool->unopened.count;
}

/* ---- for heartbeats ---- */

void item_pool_status(const struct item_pool *pool, struct item_pool_status *status)
{
	*status = (struct item_pool_status){
		.counters = pool->counters,
		.unopened = pool->unopened.count,
		.open = pool->open,
		.kept = pool->kept_count,
		.waiting = pool->waiting,
		.blocked = pool->blocked,
		.closed = pool->intake == INTAKE_CLOSED || pool->intake == INTAKE_LOST,
		.accepted = pool->accepted,
		.full = pool_is_full(pool),
	};
}

json_t *item_pool_holding(const struct item_pool *pool)
{
	if (pool->intake == INTAKE_LOST || (pool->unopened.count == 0 && pool->open == 0 && pool->kept_count == 0))
		return NULL;
	json_t *unopened = json_array();
	for (const struct item *item = pool->unopened.first; item; item = item->next)
		(void)json_array_append_new(unopened, json_stringn(item->id, item->id_len));
	return json_pack("{s:s, s:o}", "task_id", pool->task_id, "unopened", unopened);
}

/* ---- beginning, stepping, ending ---- */

void item_pool_identify(struct item_pool *pool, const char *node_id, int64_t epoch)
{
	if (strcmp(pool->node_id, node_id) == 0 && pool->options.epoch == epoch)
		return;
	text_copy(pool->node_id, sizeof(pool->node_id), node_id);
	pool->options.epoch = epoch;
	pool_lease_give_up(pool);
	pool->n = 1;
	pool->jump = 1;
	pool->next_loose = 1;
	pool->accepted = false;
	if (pool->intake == INTAKE_SUPERSEDED)
		pool->intake = INTAKE_OPEN;
	schedule_now(pool);
}

void item_pool_set_version(struct item_pool *pool, int64_t version)
{
	pool->options.version = version;
}

struct item_pool *item_pool_new(uv_loop_t *loop, const struct item_pool_options *options)
{
	struct item_pool *pool = calloc(1, sizeof(*pool));
	char *task_id = strdup(options->task_id);
	if (!pool || !task_id) {
		free(task_id);
		free(pool);
		return NULL;
	}
	pool->options = *options;
	pool->task_id = task_id;
	if (!pool->options.max_kept)
		pool->options.max_kept = DEFAULT_MAX_KEPT;
	text_copy(pool->node_id, sizeof(pool->node_id), options->node_id);
	(void)snprintf(pool->subject, sizeof(pool->subject), "task=%s", task_id);
	struct pool_call *const calls[] = {&pool->lease, &pool->commit, &pool->inventory};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
		*calls[i] = (struct pool_call){.backoff = BACKOFF(BACKOFF_BASE_MS, BACKOFF_MAX_MS), .not_before_ms = INT64_MIN};
	buf_init(&pool->batch, LIMIT_COMMIT_BODY);
	pool->n = pool->jump = pool->next_loose = 1;
	pool->waiting = pool->rtt_ms = -1;
	pool->polled_ms = INT64_MIN / 2;
	pool->batch_max = SIZE_MAX;
	pool->due_ms = INT64_MAX;
	pool->audit_ms = pool_now(pool) + AUDIT_MS;
	(void)uv_timer_init(loop, &pool->timer);
	pool->timer.data = pool;
	pool_schedule(pool, pool->audit_ms);
	return pool;
}

void item_pool_drain(struct item_pool *pool, bool leave, void (*on_drained)(void *context))
{
	if (leave && !pool->leave) {
		pool->leave = true;
		pool->left = false;
	}
	pool->on_drained = on_drained;
	if (!pool->draining) {
		pool->draining = true;
		if (pool->lease.handle)
			pool->n++; /* given up: nothing of it is ours, whatever it brings */
		pool_lease_give_up(pool);
		pool_free_items(pool, &pool->unopened);
		pool->unopened_bytes = 0;
		pool->inventory_wanted = pool->intake != INTAKE_LOST;
	}
	schedule_now(pool);
}

/* What remains to be told before the end. */
static void drain_step(struct item_pool *pool)
{
	if (pool->unopened.count > 0) { /* put back meanwhile */
		pool_free_items(pool, &pool->unopened);
		pool->unopened_bytes = 0;
		pool->inventory_wanted = pool->intake != INTAKE_LOST;
	}
	if (pool->open > 0 || pool->first || pool->inventory_wanted || pool->inventory.handle)
		return;
	if (pool->leave && !pool->left && pool->intake != INTAKE_LOST) {
		pool->inventory_wanted = true;
		return;
	}
	void (*on_drained)(void *) = steal(pool->on_drained);
	if (on_drained)
		on_drained(pool->options.context);
}

void item_pool_step(struct item_pool *pool)
{
	int64_t now = pool_now(pool);
	pool->due_ms = INT64_MAX;
	(void)uv_timer_stop(&pool->timer);
	pool_fill_step(pool, now);
	pool_serve(pool, SERVE_ITEMS);
	if (pool->draining)
		drain_step(pool);
	if (pool->closing)
		return;
	if (now >= pool->audit_ms) {
		pool->audit_ms = now + AUDIT_MS;
		pool->inventory_wanted |= pool->intake != INTAKE_LOST;
	}
	pool_commit_step(pool, now);
	pool_lease_step(pool, now);
	pool_inventory_step(pool, now);
	pool_schedule(pool, pool->audit_ms);
	if (pool->first_want && pool->unopened.count > 0)
		pool_schedule(pool, now + 1000); /* somebody is to be alone: not for ever */
}

static void on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void item_pool_close(struct item_pool *pool)
{
	if (!pool || pool->closing)
		return;
	pool->closing = true;
	struct pool_call *const calls[] = {&pool->lease, &pool->commit, &pool->inventory};
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		if (calls[i]->handle)
			pool->options.hub->cancel(pool->options.hub_context, steal(calls[i]->handle));
	}
	while (pool->first_want)
		unlink_want(pool, pool->first_want);
	pool_commit_drop(pool);
	pool_free_items(pool, &pool->unopened);
	HASH_CLEAR(hh, pool->by_id);
	buf_done(&pool->batch);
	free(pool->task_id);
	uv_close((uv_handle_t *)&pool->timer, on_closed);
}
