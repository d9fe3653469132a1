/* Owns a queue's life: the machine of queue.h, and what is done at times: reaping, looking, putting back. Called by the broker;
 * never answers a node (queue_lease.c and queue_commit.c do). */
#include "hub/broker/queue_parts.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	REAP_MS = 1000,          /* an item is with somebody else within 2 s of its holder's deadline */
	LOOK_MS = 1000,          /* while the task runs or ends */
	LOOK_WAITING_MS = 10000, /* while it waits */
	PUMP_MS = 1000,          /* what stands in an outbox that nobody just filled */
};

/* ---- reaping and settling ---- */

static void reap(struct queue *queue, int64_t now_ms);
static void settle(struct queue *queue);

static void on_settled(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->settling = false;
	if (err || queue->state != QUEUE_DRAINING)
		return;
	bool clean = reply_number(reply, 0) == 0 && reply_number(reply, 1) == 0 && reply_number(reply, 2) == 0;
	queue->clean_settles = clean ? queue->clean_settles + 1 : 0;
	queue->looked_clean = queue->looked_clean && clean;
	if (queue->clean_settles >= CLEAN_SETTLES && !queue->looked_clean)
		queue_look(queue, clock_monotonic_ms()); /* for the final numbers */
	if (reply_number(reply, 2))
		settle(queue);
}

static void settle(struct queue *queue)
{
	struct script_call call;
	struct err err = {0};
	if (queue->settling || !redis_link_is_up(queue->link) || queue_in_use(queue))
		return;
	queue_call_init(queue, &call);
	script_call_add_text(&call, queue->task->spec.pop_left ? "left" : "right");
	queue->settling = queue_ask(queue, &call, SCRIPT_SETTLE, 2, -1, on_settled, queue, &err) != NULL;
}

static void log_reaped(const struct queue *queue, const struct resp_value *holders)
{
	for (size_t i = 0; holders && i < holders->count; i++) {
		const char *holder = holders->elements[i].text;
		log_warn(queue->subject, "node=%.*s was not heard from in time: its items go to others",
			 (int)strcspn(holder, ".:"), holder);
	}
}

static void on_reaped(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->reaping = false;
	if (err) {
		log_debug(queue->subject, "reaping: %s", err->text);
		return;
	}
	queue->started = true;
	log_reaped(queue, reply_array(reply, 5));
	if (reply_number(reply, 3))
		reap(queue, clock_monotonic_ms());
	else if (queue->state == QUEUE_DRAINING)
		settle(queue);
}

static void reap(struct queue *queue, int64_t now_ms)
{
	struct script_call call;
	struct err err = {0};
	if (queue->reaping || !redis_link_is_up(queue->link))
		return;
	queue->reaped_ms = now_ms;
	queue_call_init(queue, &call);
	script_call_add_number(&call, queue->owner->lease_ms);
	script_call_add_number(&call, queue->started ? 0 : 1);
	script_call_add_number(&call, MAX_LOSSES);
	queue->reaping = queue_ask(queue, &call, SCRIPT_REAP, 2, 1, on_reaped, queue, &err) != NULL;
}

/* ---- who waits for the link ---- */

bool queue_wait_ready(struct queue *queue, struct queue_ready *ready)
{
	if (!redis_link_is_new(queue->link))
		return false;
	DL_APPEND(queue->ready, ready);
	return true;
}

void queue_unwait_ready(struct queue *queue, struct queue_ready *ready)
{
	DL_DELETE(queue->ready, ready);
}

static void tell_ready(struct queue *queue)
{
	while (queue->ready) {
		struct queue_ready *ready = queue->ready;
		DL_DELETE(queue->ready, ready);
		ready->on_ready(ready->context);
	}
}

/* ---- the machine ---- */

void queue_set_state(struct queue *queue, enum queue_state state)
{
	if (queue->state == state)
		return;
	queue->state = state;
	queue->clean_settles = 0;
	queue->looked_clean = false;
	queue->idle_since_ms = 0;
	queue->idle_told = false;
	switch (state) {
	case QUEUE_WAITING:
		break;
	case QUEUE_RUNNING:
		queue_look(queue, clock_monotonic_ms()); /* where its counting begins */
		break;
	case QUEUE_DRAINING:
		queue_leases_end(queue, LEASE_CLOSED);
		settle(queue);
		queue_look(queue, clock_monotonic_ms()); /* who ended it sees its numbers */
		break;
	case QUEUE_SETTLED:
		queue_forget_keys(queue);
		queue->owner->on_settled(queue->owner->context, queue);
		break;
	}
}

void queue_set_paused(struct queue *queue, bool paused)
{
	if (queue->paused == paused)
		return;
	queue->paused = paused;
	queue->idle_since_ms = 0;
	if (paused)
		queue_unblock(queue); /* nobody is to move an item now */
	else
		queue_wake(queue);
}

void queue_link_changed(struct queue *queue)
{
	if (redis_link_is_up(queue->link)) {
		int64_t now = clock_monotonic_ms();
		if (queue->state != QUEUE_WAITING)
			reap(queue, now);
		queue_look(queue, now);
		queue_wake(queue);
	} else {
		queue->started = false; /* Redis may have been away: nobody is overdue for that (R8) */
		queue_leases_end(queue, LEASE_BLOCKED);
	}
	tell_ready(queue);
}

/* Settled only when the books were seen empty with nothing under way, the outbox too. */
static bool is_settled(const struct queue *queue)
{
	return queue->clean_settles >= CLEAN_SETTLES && !queue->ops && !queue->pumping && queue->looked_clean &&
	       queue->progress.outbox == 0 && queue_settles_next(queue);
}

void queue_tick(struct queue *queue, int64_t now_ms)
{
	if (queue->state == QUEUE_SETTLED || !redis_link_is_up(queue->link))
		return;
	int64_t look_ms = queue->state == QUEUE_WAITING ? LOOK_WAITING_MS : LOOK_MS;
	if (queue->purging || (queue->state == QUEUE_DRAINING && queue->task->purge && is_settled(queue))) {
		queue_purge(queue);
		return;
	}
	if (queue->state == QUEUE_DRAINING && is_settled(queue)) {
		queue_set_state(queue, QUEUE_SETTLED);
		return;
	}
	if (queue->state != QUEUE_WAITING && now_ms - queue->reaped_ms >= REAP_MS)
		reap(queue, now_ms);
	else if (queue->state == QUEUE_DRAINING && queue->started)
		settle(queue);
	if (now_ms - queue->looked_ms >= look_ms)
		queue_look(queue, now_ms);
	if (queue->output && now_ms - queue->pumped_ms >= PUMP_MS)
		queue_pump(queue);
	if (queue->state == QUEUE_RUNNING)
		queue_note_idle(queue, now_ms);
}

/* ---- reading ---- */

const struct task *queue_task(const struct queue *queue)
{
	return queue->task;
}

enum queue_state queue_state(const struct queue *queue)
{
	return queue->state;
}

const char *queue_blocked(const struct queue *queue)
{
	if (queue->state == QUEUE_SETTLED)
		return "";
	if (!redis_link_is_up(queue->link))
		return redis_link_trouble(queue->link);
	return queue->trouble[0] ? queue->trouble : queue->refusal;
}

/* ---- construction ---- */

/* The keys' common part: the queue's name if it has a hash tag, so that all of them are in one slot; else the name as one. */
char *queue_keys_of(const char *name)
{
	const char *open = strchr(name, '{');
	const char *close = open ? strchr(open, '}') : NULL;
	bool tagged = close && close > open + 1;
	size_t size = strlen(name) + sizeof("{}:idm:");
	char *keys = malloc(size);
	if (keys)
		(void)snprintf(keys, size, tagged ? "%s:idm:" : "{%s}:idm:", name);
	return keys;
}

/* Where results go, as the outbox names it: the output's Redis without its password, and the queue; in it no blanks. */
static char *destination_of(const struct redis_link *output, const struct task_spec *spec)
{
	static const char HEX[] = "0123456789abcdef";
	const char *name = output ? redis_client_name(redis_link_client(output)) : "";
	const char *rest = output && spec->output_queue ? spec->output_queue : "";
	char *text = malloc(strlen(name) + 3 * strlen(rest) + sizeof("#"));
	if (!text)
		return NULL;
	char *at = stpcpy(text, name);
	if (*rest)
		*at++ = '#';
	for (; *rest; rest++) {
		unsigned char byte = (unsigned char)*rest;
		if (byte > ' ' && byte < 0x7f && byte != '%') {
			*at++ = *rest;
			continue;
		}
		*at++ = '%';
		*at++ = HEX[byte >> 4];
		*at++ = HEX[byte & 0xf];
	}
	*at = '\0';
	return text;
}

void queue_node_name(const struct queue *queue, const char *node, char into[QUEUE_NODE_SIZE])
{
	(void)snprintf(into, QUEUE_NODE_SIZE, "%s.%s", node, queue->tag);
}

struct queue *queue_new(uv_loop_t *loop, const struct queue_owner *owner, const struct task *task, enum queue_state state,
			struct redis_link *link, struct redis_link *output, struct err *err)
{
	struct queue *queue = calloc(1, sizeof(*queue));
	char *keys = queue_keys_of(task->spec.input_queue);
	char *destination = destination_of(output, &task->spec);
	if (!queue || !keys || !destination) {
		free(queue);
		free(keys);
		free(destination);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	queue->loop = loop;
	queue->owner = owner;
	queue->task = task;
	queue->state = state;
	queue->keys = keys;
	queue->link = link;
	queue->output = output;
	queue->destination = destination;
	queue->waiting = -1;
	queue->paused = task->paused;
	queue->reopened = task->settled;
	queue->saved = task->settled && task->progress ? json_loads(task->progress, 0, NULL) : NULL;
	text_copy(queue->tag, sizeof(queue->tag), task->id);
	(void)snprintf(queue->subject, sizeof(queue->subject), "task=%s", task->spec.name);
	queue_leases_init(queue);
	return queue;
}

void queue_close(struct queue *queue)
{
	queue->state = QUEUE_SETTLED;
	queue_leases_end(queue, LEASE_CLOSED);
	tell_ready(queue);
	queue_ops_cancel(queue);
	queue_outbox_close(queue);
	queue_purge_close(queue);
	redis_client_forget(redis_link_client(queue->link), queue); /* what queue_progress.c asked without an op */
	redis_link_release(queue->link);
	redis_link_release(queue->output);
	queue_leases_close(queue); /* frees it, when the loop has let go of its timer */
}
