/* Owns the giving of leases: who asks, who waits, and how the waiting learn that there is something. Called by the node plane
 * through queue.h and by the queue's other files; never renews a holder by itself.
 *
 *   a call --> TAKING --executed--> answered
 *                |  ^ something became free meanwhile
 *                +--+
 *                |empty, and it may wait
 *                v
 *              HELD --served in turn (one at a time)--> TAKING; its time is over, a newer call of its node: answered `empty`
 *
 * Who is held learns of a new item from a blocking move into `arrived` on a connection of its own (R12), and of an item that
 * came back from the answers of this hub's own calls. Failure modes: an item becomes free between a take's `empty` and the
 * holding: `wakes` has grown, so it is asked again. The blocking connection is lost: it is made anew, and the move repeated; an
 * item that it moved unseen stands in `arrived`, where the first take after the reconnection finds it. The task is paused: whoever
 * waits goes on waiting, and who does not wait is told `blocked`. Redis goes away: all are
 * answered `blocked`. The node goes: its call is abandoned, and what it was given is repeated to its next one (R3). */
#include "hub/broker/queue_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	LEAST_TIMER_MS = 20,
	DEADLINE_STEP_MS = 100, /* thousands of deadlines are not as many timers */
	PARTS_OF_ITEM = 4,      /* id, payload, failures, flags */
	/* What a take may gather before its last item, so that the whole answer fits. */
	MOST_BYTES = LIMIT_LEASE_ANSWER - LIMIT_ITEM - 1024 * 1024,
};

static bool take(struct queue *queue, struct lease_call *call);
static void serve_next(struct queue *queue);
static void on_wait_timer(uv_timer_t *timer);

static void answer(struct lease_call *call, enum lease_status status, const struct resp_value *items)
{
	int64_t waiting = call->queue->waiting > 0 ? call->queue->waiting : 0;
	call->queue = NULL;
	call->answer(call, status, waiting, items);
}

/* ---- holding ---- */

/* The timer comes at `at` at the latest; too early does no harm. */
void queue_look_at(struct queue *queue, int64_t at_ms, int64_t now_ms)
{
	uint64_t in_ms = at_ms > now_ms ? (uint64_t)(at_ms - now_ms) : 0;
	if (!uv_is_active((uv_handle_t *)&queue->wait_timer) || uv_timer_get_due_in(&queue->wait_timer) > in_ms)
		(void)uv_timer_start(&queue->wait_timer, on_wait_timer, in_ms > LEAST_TIMER_MS ? in_ms : LEAST_TIMER_MS, 0);
}

static void look_at_deadline(struct queue *queue, const struct lease_call *call, int64_t now_ms)
{
	bool pauses = call->not_before_ms > now_ms && call->not_before_ms < call->deadline_ms;
	int64_t at_ms = pauses ? call->not_before_ms : call->deadline_ms;
	queue_look_at(queue, (at_ms / DEADLINE_STEP_MS + 1) * DEADLINE_STEP_MS, now_ms);
}

/* Only one call of a node waits: the last that came. */
static void hold(struct queue *queue, struct lease_call *call, int64_t now_ms)
{
	struct lease_call *newer = NULL;
	HASH_FIND_STR(queue->by_node, call->node, newer);
	if (newer) {
		answer(call, LEASE_EMPTY, NULL);
		return;
	}
	call->held = true;
	DL_APPEND(queue->waits, call);
	HASH_ADD_STR(queue->by_node, node, call);
	queue_block(queue);
	look_at_deadline(queue, call, now_ms);
}

static void let_go(struct queue *queue, struct lease_call *call)
{
	if (!call->held)
		return;
	call->held = false;
	DL_DELETE(queue->waits, call);
	HASH_DEL(queue->by_node, call); /* NOLINT(clang-analyzer-core.NullDereference): uthash's own */
	if (queue->pass_left > 0)
		queue->pass_left--;
}

static void let_go_with(struct queue *queue, struct lease_call *call, enum lease_status status)
{
	let_go(queue, call);
	answer(call, status, NULL);
}

/* ---- taking ---- */

/* As the queue runs low everybody gets less, so that no slow machine sits on the last items. */
static int64_t share(const struct queue *queue, int64_t max)
{
	size_t nodes = queue->owner->able_nodes(queue->owner->context, queue);
	if (queue->waiting < 0 || nodes == 0)
		return max;
	int64_t fair = queue->waiting / (2 * (int64_t)nodes) + 1;
	return fair < max ? fair : max;
}

static enum lease_status status_of(const struct resp_value *reply)
{
	const struct resp_value *word = reply->count > 0 ? &reply->elements[0] : reply;
	if (resp_is(word, "executed"))
		return LEASE_EXECUTED;
	if (resp_is(word, "stale"))
		return LEASE_STALE;
	if (resp_is(word, "superseded"))
		return LEASE_SUPERSEDED;
	return LEASE_EMPTY;
}

static void note_next_free(struct queue *queue, int64_t in_ms, int64_t now_ms)
{
	int64_t at = now_ms + (in_ms > LEAST_TIMER_MS ? in_ms : LEAST_TIMER_MS);
	if (in_ms <= 0 || (queue->next_free_ms && queue->next_free_ms <= at))
		return;
	queue->next_free_ms = at;
	queue_look_at(queue, at, now_ms);
}

static void take_was_empty(struct queue *queue, struct lease_call *call, int64_t next_ms)
{
	int64_t now = clock_monotonic_ms();
	note_next_free(queue, next_ms, now);
	if (now >= call->deadline_ms)
		answer(call, LEASE_EMPTY, NULL);
	else if (call->wakes != queue->wakes && !queue->paused)
		(void)take(queue, call);
	else
		hold(queue, call, now);
}

static bool is_too_large(const struct resp_value *items, size_t i)
{
	return items->elements[i + 1].len > LIMIT_ITEM;
}

/* What no node can take is taken out, and put away. */
static void answer_items(struct queue *queue, struct lease_call *call, const struct resp_value *items)
{
	size_t large = 0;
	for (size_t i = 0; items && i + PARTS_OF_ITEM <= items->count; i += PARTS_OF_ITEM)
		large += is_too_large(items, i);
	if (large == 0) {
		answer(call, LEASE_EXECUTED, items);
		return;
	}
	struct resp_value fitting = {.type = RESP_ARRAY};
	AUTO_FREE struct resp_value *parts = calloc(items->count, sizeof(*parts));
	for (size_t i = 0; i + PARTS_OF_ITEM <= items->count; i += PARTS_OF_ITEM) {
		if (is_too_large(items, i)) {
			queue_bury(queue, call, &items->elements[i], "larger than a node takes");
		} else if (parts) {
			memcpy(parts + fitting.count, items->elements + i, PARTS_OF_ITEM * sizeof(*parts));
			fitting.count += PARTS_OF_ITEM;
		}
	}
	fitting.elements = parts;
	answer(call, parts ? LEASE_EXECUTED : LEASE_BLOCKED, &fitting);
}

void queue_note_trouble(struct queue *queue, const struct err *err)
{
	if (err->code == ERR_CANCELLED || err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT)
		return;
	if (strcmp(queue->trouble, err->text) != 0)
		log_error(queue->subject, "no items can be given: %s", err->text);
	text_copy(queue->trouble, sizeof(queue->trouble), err->text);
}

static void on_taken(void *context, const struct resp_value *reply, const struct err *err)
{
	struct lease_call *call = context;
	struct queue *queue = call->queue;
	call->op = NULL;
	if (queue->serving == call)
		queue->serving = NULL;
	if (err) {
		queue_note_trouble(queue, err);
		answer(call, err->code == ERR_CANCELLED ? LEASE_CLOSED : LEASE_BLOCKED, NULL);
		return; /* the link's going down ends the pass */
	}
	enum lease_status status = status_of(reply);
	queue->waiting = reply_number(reply, 1);
	queue->trouble[0] = '\0';
	if (status == LEASE_EMPTY)
		take_was_empty(queue, call, reply_number(reply, 2));
	else if (status == LEASE_EXECUTED)
		answer_items(queue, call, reply_array(reply, 5));
	else
		answer(call, status, NULL);
	serve_next(queue);
}

/* False when it could not even be asked, and was answered so. */
static bool take(struct queue *queue, struct lease_call *call)
{
	struct script_call script;
	struct err err = {0};
	char seed[TOKEN_SIZE];
	char node[QUEUE_NODE_SIZE];
	int64_t left_ms = queue->owner->lease_ms - (clock_monotonic_ms() - call->received_ms);
	random_token(seed);
	queue_node_name(queue, call->node, node);
	queue_call_init(queue, &script);
	script_call_add_text(&script, node);
	script_call_add_number(&script, call->epoch);
	script_call_add_number(&script, call->n);
	script_call_add_number(&script, share(queue, call->max));
	script_call_add_number(&script, call->bytes < MOST_BYTES ? call->bytes : MOST_BYTES);
	script_call_add_number(&script, left_ms > 0 ? left_ms : 0);
	script_call_add_text(&script, queue->task->spec.pop_left ? "left" : "right");
	script_call_add_text(&script, seed);
	script_call_add_number(&script, MAX_LOSSES);
	script_call_add_number(&script, queue->owner->able_nodes(queue->owner->context, queue) > 1);
	call->wakes = queue->wakes;
	call->op = queue_ask(queue, &script, SCRIPT_TAKE, 2, 3, on_taken, call, &err);
	if (call->op)
		return true;
	if (queue->serving == call)
		queue->serving = NULL;
	answer(call, LEASE_BLOCKED, NULL);
	return false;
}

/* ---- serving the held ---- */

/* The next one of this pass that may be asked for now. */
static struct lease_call *next_held(struct queue *queue, int64_t now_ms)
{
	while (queue->pass_left > 0 && queue->waits) {
		struct lease_call *call = queue->waits;
		if (call->not_before_ms <= now_ms) {
			let_go(queue, call);
			return call;
		}
		queue->pass_left--;
		DL_DELETE(queue->waits, call);
		DL_APPEND(queue->waits, call);
	}
	queue->pass_left = 0;
	return NULL;
}

static void serve_next(struct queue *queue)
{
	int64_t now = clock_monotonic_ms();
	if (queue->serving || queue->waiting == 0 || !queue_gives(queue))
		return;
	struct lease_call *call = next_held(queue, now);
	queue->serving = call;
	if (call)
		(void)take(queue, call);
}

bool queue_gives(const struct queue *queue)
{
	return queue->state == QUEUE_RUNNING && !queue->paused && queue->base.known && redis_link_is_up(queue->link);
}

void queue_wake(struct queue *queue)
{
	queue->wakes++;
	if (!queue_gives(queue))
		return;
	queue->pass_left = HASH_COUNT(queue->by_node);
	if (queue->waiting <= 0)
		queue->waiting = 1; /* at least: what woke us */
	serve_next(queue);
	if (queue->waits)
		queue_block(queue);
}

/* ---- time ---- */

static void look_at_next(struct queue *queue, int64_t now_ms)
{
	struct lease_call *call;
	if (queue->waits)
		queue_block(queue);
	if (queue->waits && queue->next_free_ms)
		queue_look_at(queue, queue->next_free_ms, now_ms);
	DL_FOREACH(queue->waits, call)
		look_at_deadline(queue, call, now_ms);
}

static void on_wait_timer(uv_timer_t *timer)
{
	struct queue *queue = timer->data;
	int64_t now = clock_monotonic_ms();
	struct lease_call *call;
	struct lease_call *next;
	bool somebody_may_now = queue->next_free_ms && queue->next_free_ms <= now;
	if (somebody_may_now)
		queue->next_free_ms = 0;
	DL_FOREACH_SAFE(queue->waits, call, next) {
		if (call->deadline_ms <= now) {
			let_go_with(queue, call, LEASE_EMPTY);
		} else if (call->not_before_ms && call->not_before_ms <= now) {
			call->not_before_ms = 0;
			somebody_may_now = true;
		}
	}
	if (somebody_may_now)
		queue_wake(queue);
	look_at_next(queue, now);
}

/* ---- the asker's side ---- */

bool queue_lease(struct queue *queue, struct lease_call *call)
{
	int64_t now = clock_monotonic_ms();
	call->queue = queue;
	call->op = NULL;
	call->held = false;
	call->wakes = 0;
	queue_release(queue, call->node);
	if (queue->state != QUEUE_RUNNING || !redis_link_is_up(queue->link)) {
		answer(call, queue->state == QUEUE_RUNNING ? LEASE_BLOCKED : LEASE_CLOSED, NULL);
		return false;
	}
	if (queue->paused && call->deadline_ms <= now) { /* not held, and `empty` would tell a worker that nothing is left */
		answer(call, LEASE_BLOCKED, NULL);
		return false;
	}
	if (queue_gives(queue) && call->not_before_ms <= now)
		return take(queue, call);
	hold(queue, call, now);
	return true;
}

void queue_lease_abandon(struct lease_call *call)
{
	struct queue *queue = call->queue;
	if (!queue)
		return;
	call->queue = NULL;
	if (call->held)
		let_go(queue, call);
	queue_op_abandon(call->op);
	if (queue->serving == call) {
		queue->serving = NULL;
		serve_next(queue);
	}
}

void queue_release(struct queue *queue, const char *node)
{
	struct lease_call *call;
	struct lease_call *next;
	if (node) {
		HASH_FIND_STR(queue->by_node, node, call);
		if (call)
			let_go_with(queue, call, LEASE_EMPTY);
		return;
	}
	DL_FOREACH_SAFE(queue->waits, call, next)
		let_go_with(queue, call, LEASE_EMPTY);
}

void queue_leases_end(struct queue *queue, enum lease_status status)
{
	(void)uv_timer_stop(&queue->wait_timer);
	queue->next_free_ms = 0;
	queue->pass_left = 0;
	while (queue->waits)
		let_go_with(queue, queue->waits, status);
	if (queue->state != QUEUE_RUNNING)
		queue_unblock(queue);
}

void queue_leases_init(struct queue *queue)
{
	(void)uv_timer_init(queue->loop, &queue->wait_timer);
	queue->wait_timer.data = queue;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct queue *queue = handle->data;
	json_decref(queue->saved);
	free(queue->keys);
	free(queue->destination);
	free(queue);
}

void queue_leases_close(struct queue *queue)
{
	queue_unblock(queue);
	uv_close((uv_handle_t *)&queue->wait_timer, on_timer_closed);
}
