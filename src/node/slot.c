/* Owns one slot's state machine. Called by slots.c and by the runtime's callbacks; never knows what a task is.
 *
 *            run                started            exit                removed
 *   EMPTY --------> CREATING ----------> RUNNING --------> REMOVING ------------> BACKOFF
 *     ^                | failed             |               ^    |                   |
 *     |                +--------------------|---------------+    |                   | timer, retry
 *     |                                     | retire        |    |                   v
 *     |                                     v     exit      |    |               CREATING
 *     |                                 DRAINING -----------+    |
 *     |                                     | drained, timer|    |
 *     |                                     v     exit      |    |
 *     |                                 STOPPING -----------+    |
 *     +----------------------------------------------------------+ (retiring)
 *
 * A worker that has nothing in its hands, or of which nobody can tell, is STOPPING at once. STOPPING gets harder with time: SIGTERM, after the stop timeout SIGKILL, and when even that is not answered (the engine
 * is gone) removal by force. Failure modes: the start fails (bad command, image gone, engine gone): the worker is removed
 * and BACKOFF grows. The removal fails: said in the log, and the slot goes on; whatever is left over carries our labels
 * and is removed when its name is needed or the agent starts again. */
#include "node/slot.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
	QUICK_MS = 10 * 1000,        /* a container that ends sooner with status 0 had nothing to do */
	STABLE_MS = 60 * 1000,       /* one that ran so long is not failing at once */
	IDLE_BASE_MS = 500,
	IDLE_MAX_MS = 30 * 1000,
	FAILURE_BASE_MS = 500,       /* so that an item whose worker was killed is with the next one within a second */
	FAILURE_MAX_MS = 60 * 1000,
	WAIT_MS = 60 * 1000,         /* while the image or the engine is away */
	KILL_TIMEOUT_MS = 10 * 1000, /* from SIGKILL to removal by force */
};

static void enter(struct slot *slot, enum slot_state state);

static bool tell_end(struct slot *slot, const struct worker_exit *result)
{
	bool stopped = slot->signalled || !result || result->status < 0 || result->stopped_by_other;
	return slot->owner->on_end(slot->owner->context, slot, result, stopped);
}

static void on_timer(uv_timer_t *timer);

static void set_timer(struct slot *slot, int64_t ms)
{
	(void)uv_timer_start(&slot->timer, on_timer, ms > 0 ? (uint64_t)ms : 0, 0);
}

static const char *noun(const struct slot *slot)
{
	return slot->runtime->noun;
}

/* ---- what the runtime tells ---- */

static void fail(struct slot *slot, int code, const char *text)
{
	slot->error_code = code;
	slot->pause_ms = backoff_next_ms(&slot->after_failure, random_u32());
	text_copy(slot->error, sizeof(slot->error), text);
}

static void on_started(void *context, const struct err *err)
{
	struct slot *slot = context;
	if (slot->state == SLOT_REMOVING)
		return; /* removed by force meanwhile */
	assert(slot->state == SLOT_CREATING || slot->state == SLOT_STOPPING);
	if (err) {
		(void)tell_end(slot, NULL);
		fail(slot, err->code, err->text);
		if (!slot->retiring)
			log_error(slot->subject, "the %s did not start: %s; next try in %.1f s", noun(slot), err->text,
				  (double)slot->pause_ms / 1000);
		enter(slot, SLOT_REMOVING);
	} else if (slot->state == SLOT_CREATING) {
		enter(slot, SLOT_RUNNING);
	}
}

/* The end of the output, as much as fits, from a line's beginning where there is one. */
static void append_tail(char *text, size_t size, const char *tail)
{
	static const char LEAD[] = "; its last output: ";
	size_t len = strlen(tail);
	while (len > 0 && (tail[len - 1] == '\n' || tail[len - 1] == '\r'))
		len--;
	if (len == 0 || size <= sizeof(LEAD))
		return;
	size_t room = size - sizeof(LEAD);
	size_t start = len > room ? len - room : 0;
	const char *line = start ? memchr(tail + start, '\n', len - start) : NULL;
	if (line)
		start = (size_t)(line + 1 - tail);
	while (start < len && ((unsigned char)tail[start] & 0xc0) == 0x80)
		start++; /* a character that is cut in half */
	(void)snprintf(text, size, "%s%.*s", LEAD, (int)(len - start), tail + start);
}

static void describe_exit(const struct slot *slot, const struct worker_exit *result, char *text, size_t size)
{
	int len = 0;
	if (result->out_of_memory)
		len = snprintf(text, size, "out of memory: the %s reached its limit (container_memory, memory_mb)", noun(slot));
	else if (result->status > 128 && result->status < 128 + 65)
		len = snprintf(text, size, "ended by signal %d", result->status - 128);
	else if (result->status < 0)
		len = snprintf(text, size, "disappeared: removed by someone else, or lost with the engine");
	else
		len = snprintf(text, size, "exit status %d", result->status);
	if (len > 0 && (size_t)len < size && result->log_tail)
		append_tail(text + len, size - (size_t)len, result->log_tail);
}

static void note_success(struct slot *slot, int64_t ran_ms)
{
	slot->error[0] = '\0';
	backoff_reset(&slot->after_failure);
	if (ran_ms >= QUICK_MS)
		backoff_reset(&slot->after_success);
	slot->pause_ms = ran_ms >= QUICK_MS ? 0 : backoff_next_ms(&slot->after_success, random_u32());
	log_info(slot->subject, "the %s ended with status 0 after %.1f s; next start in %.1f s", noun(slot),
		 (double)ran_ms / 1000, (double)slot->pause_ms / 1000);
}

static void note_failure(struct slot *slot, const struct worker_exit *result, int64_t ran_ms, bool worked)
{
	char text[SLOT_ERROR_MAX];
	describe_exit(slot, result, text, sizeof(text));
	if (worked || ran_ms >= STABLE_MS)
		backoff_reset(&slot->after_failure);
	fail(slot, 0, text);
	if (worked)
		slot->pause_ms = 0; /* the item that it left behind shall be with the next one within a second */
	log_warn(slot->subject, "the %s failed after %.1f s: %s; next start in %.1f s", noun(slot), (double)ran_ms / 1000, text,
		 (double)slot->pause_ms / 1000);
}

/* The worker did not fail by itself, so that its successor need not wait for longer each time. */
static void note_kill(struct slot *slot)
{
	fail(slot, 0, slot->kill_reason);
	backoff_reset(&slot->after_failure);
	slot->pause_ms = 0;
	log_warn(slot->subject, "the %s was killed: %s", noun(slot), slot->kill_reason);
}

static void on_ended(void *context, const struct worker_exit *result)
{
	struct slot *slot = context;
	int64_t ran_ms = clock_monotonic_ms() - slot->started_ms;
	if (slot->state == SLOT_REMOVING)
		return; /* removed by force meanwhile */
	assert(slot->state == SLOT_RUNNING || slot->state == SLOT_DRAINING || slot->state == SLOT_STOPPING);
	bool worked = tell_end(slot, result);
	if (slot->retiring)
		log_debug(slot->subject, "the %s has ended, status %d", noun(slot), result->status);
	else if (slot->kill_reason)
		note_kill(slot);
	else if (result->status == 0)
		note_success(slot, ran_ms);
	else
		note_failure(slot, result, ran_ms, worked);
	enter(slot, SLOT_REMOVING);
}

static void on_removed(void *context, const struct err *err)
{
	struct slot *slot = context;
	slot->worker = NULL;
	if (err)
		log_warn(slot->subject, "the %s could not be removed: %s; it will be at the next start", noun(slot), err->text);
	enter(slot, slot->retiring ? SLOT_EMPTY : SLOT_BACKOFF);
}

/* ---- moves ---- */

static void create(struct slot *slot)
{
	slot->signalled = false;
	slot->kill_reason = NULL;
	const struct worker_events events = {
		.context = slot, .on_started = on_started, .on_exit = on_ended, .on_removed = on_removed};
	struct err err = {0};
	slot->worker = slot->owner->start_worker(slot->owner->context, slot, &events, &err);
	if (slot->worker)
		return;
	if (err.code == ERR_UNREACHABLE) {
		slot->pause_ms = WAIT_MS; /* its owner says what is missing, and ends the wait when it is there */
	} else {
		fail(slot, err.code, err.text);
		log_error(slot->subject, "the %s could not be created: %s; next try in %.1f s", noun(slot), err.text,
			  (double)slot->pause_ms / 1000);
	}
	enter(slot, SLOT_BACKOFF);
}

static void kill_now(struct slot *slot)
{
	slot->killed = true;
	slot->signalled = true;
	slot->runtime->signal(slot->worker, WORKER_KILL);
	set_timer(slot, KILL_TIMEOUT_MS);
}

/* The one place where the state changes: entry actions, then the owner is told. */
static void enter(struct slot *slot, enum slot_state state)
{
	slot->state = state;
	(void)uv_timer_stop(&slot->timer);
	switch (state) {
	case SLOT_EMPTY:
		slot->retiring = false;
		slot->error[0] = '\0';
		break;
	case SLOT_CREATING:
		create(slot); /* may have moved on to BACKOFF */
		break;
	case SLOT_RUNNING:
		slot->started_ms = clock_monotonic_ms();
		slot->error_code = 0;
		log_info(slot->subject, "%s started", noun(slot));
		break;
	case SLOT_DRAINING:
		break;
	case SLOT_STOPPING:
		slot->killed = false;
		slot->signalled = true;
		slot->runtime->signal(slot->worker, WORKER_TERMINATE);
		set_timer(slot, slot->kill_after_ms);
		break;
	case SLOT_REMOVING:
		slot->runtime->remove(slot->worker);
		break;
	case SLOT_BACKOFF:
		set_timer(slot, slot->pause_ms);
		break;
	}
	if (slot->state == state)
		slot->owner->on_change(slot->owner->context, slot);
}

static void on_timer(uv_timer_t *timer)
{
	struct slot *slot = timer->data;
	if (slot->state == SLOT_BACKOFF) {
		enter(slot, SLOT_CREATING);
	} else if (slot->state == SLOT_DRAINING) {
		enter(slot, SLOT_STOPPING);
	} else if (slot->state == SLOT_STOPPING && !slot->killed) {
		log_warn(slot->subject, "the %s did not end in time after SIGTERM: SIGKILL", noun(slot));
		kill_now(slot);
	} else if (slot->state == SLOT_STOPPING) {
		(void)tell_end(slot, NULL);
		enter(slot, SLOT_REMOVING);
	}
}

/* ---- the owner's side ---- */

void slot_init(struct slot *slot, unsigned index, uv_loop_t *loop, const struct runtime_ops *runtime,
	       const struct slot_owner *owner)
{
	*slot = (struct slot){.index = index,
			      .runtime = runtime,
			      .owner = owner,
			      .after_success = BACKOFF(IDLE_BASE_MS, IDLE_MAX_MS),
			      .after_failure = BACKOFF(FAILURE_BASE_MS, FAILURE_MAX_MS)};
	(void)snprintf(slot->subject, sizeof(slot->subject), "slot=%u", index);
	(void)uv_timer_init(loop, &slot->timer);
	slot->timer.data = slot;
}

void slot_run(struct slot *slot)
{
	assert(slot->state == SLOT_EMPTY);
	backoff_reset(&slot->after_success);
	backoff_reset(&slot->after_failure);
	enter(slot, SLOT_CREATING);
}

/* STOPPING without its gentle beginning. */
static void kill_at_once(struct slot *slot)
{
	slot->state = SLOT_STOPPING;
	kill_now(slot);
	slot->owner->on_change(slot->owner->context, slot);
}

void slot_retire(struct slot *slot, int64_t drain_ms, int64_t kill_after_ms)
{
	if (slot->state == SLOT_EMPTY || slot->retiring)
		return;
	slot->retiring = true;
	slot->kill_after_ms = kill_after_ms;
	switch (slot->state) {
	case SLOT_RUNNING:
		if (slot->owner->drain(slot->owner->context, slot)) {
			enter(slot, SLOT_DRAINING);
			set_timer(slot, drain_ms);
			break;
		}
		enter(slot, SLOT_STOPPING);
		break;
	case SLOT_CREATING:
		enter(slot, SLOT_STOPPING);
		break;
	case SLOT_BACKOFF:
		enter(slot, SLOT_EMPTY);
		break;
	default:
		break; /* on its way already */
	}
}

void slot_drained(struct slot *slot)
{
	if (slot->state == SLOT_DRAINING)
		enter(slot, SLOT_STOPPING);
}

void slot_kill(struct slot *slot, const char *reason)
{
	bool alive = slot->state == SLOT_CREATING || slot->state == SLOT_RUNNING || slot->state == SLOT_DRAINING ||
		     (slot->state == SLOT_STOPPING && !slot->killed);
	if (!alive)
		return;
	slot->kill_reason = reason;
	kill_at_once(slot);
}

bool slot_hurry(struct slot *slot)
{
	if ((slot->state != SLOT_STOPPING && slot->state != SLOT_DRAINING) || slot->killed)
		return false;
	kill_at_once(slot);
	return true;
}

void slot_retry(struct slot *slot)
{
	if (slot->state == SLOT_BACKOFF)
		enter(slot, SLOT_CREATING);
}

void slot_fail(struct slot *slot, const struct err *err)
{
	if (slot->state != SLOT_BACKOFF)
		return;
	fail(slot, err->code, err->text);
	log_error(slot->subject, "%s; next try in %.1f s", err->text, (double)slot->pause_ms / 1000);
	set_timer(slot, slot->pause_ms);
	slot->owner->on_change(slot->owner->context, slot);
}

void slot_close(struct slot *slot, uv_close_cb on_closed)
{
	slot->worker = NULL;
	uv_close((uv_handle_t *)&slot->timer, on_closed);
}
