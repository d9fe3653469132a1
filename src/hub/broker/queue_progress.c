/* Owns what people see of a queue: how much waits, is out, is done, and how fast. Called by the queue's tick; changes nothing in
 * Redis but one key: the counters as they stood when the task began, since they count for all tasks of a queue. */
#include "hub/broker/queue_parts.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum {
	COMMAND_TIMEOUT_MS = 30 * 1000,
	BASE_KEY_SIZE = LIMIT_QUEUE_NAME + UUID_SIZE + 32,
	RATE_WINDOW_MS = 5 * 1000, /* a new rate is mixed in so often … */
};
#define BASE_KEPT_S "604800" /* after the task has settled: its dead letters may be retried */
static const double RATE_NEW = 0.3; /* … with this weight */

/* A counter of the script's answer: names and numbers in turn. */
static int64_t counter(const struct resp_value *reply, const char *name)
{
	for (size_t i = 0; reply->type == RESP_ARRAY && i + 1 < reply->count; i += 2) {
		if (resp_is(&reply->elements[i], name))
			return reply->elements[i + 1].integer;
	}
	return 0;
}

/* ---- where the task's counting begins ---- */

static const char *const BASE_NAMES[] = {"done", "failed", "empty", "duplicates", "lost", "returned"};

static int64_t *base_field(struct queue_base *base, size_t i)
{
	int64_t *const fields[] = {&base->done, &base->failed, &base->empty, &base->duplicates, &base->lost, &base->returned};
	return fields[i];
}

static void on_base(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->base.asked = false;
	if (err || reply->type != RESP_BULK)
		return;
	AUTO_JSON json_t *object = json_loadb(reply->text, reply->len, 0, NULL);
	for (size_t i = 0; i < sizeof(BASE_NAMES) / sizeof(BASE_NAMES[0]); i++)
		*base_field(&queue->base, i) = json_integer_value(json_object_get(object, BASE_NAMES[i]));
	queue->base.known = true;
	queue->looked_ms = 0; /* look again at once */
}

static void base_key(const struct queue *queue, char key[BASE_KEY_SIZE])
{
	(void)snprintf(key, BASE_KEY_SIZE, "%sbase:%s", queue->keys, queue->task->id);
}

void queue_forget_base(struct queue *queue)
{
	char key[BASE_KEY_SIZE];
	struct err err = {0};
	base_key(queue, key);
	const char *const argv[] = {"EXPIRE", key, BASE_KEPT_S};
	if (redis_client_command(redis_link_client(queue->link), 3, argv, NULL, COMMAND_TIMEOUT_MS, NULL, NULL, &err))
		log_debug(queue->subject, "the task's counters stay in Redis: %s", err.text);
}

static void ask_base(struct queue *queue, const struct resp_value *reply)
{
	char key[BASE_KEY_SIZE];
	char text[512];
	struct err err = {0};
	int len = snprintf(text, sizeof(text), "{");
	for (size_t i = 0; i < sizeof(BASE_NAMES) / sizeof(BASE_NAMES[0]); i++)
		len += snprintf(text + len, sizeof(text) - (size_t)len, "%s\"%s\":%lld", i ? "," : "", BASE_NAMES[i],
				(long long)counter(reply, BASE_NAMES[i]));
	(void)snprintf(text + len, sizeof(text) - (size_t)len, "}");
	base_key(queue, key);
	const char *const set[] = {"SETNX", key, text};
	const char *const get[] = {"GET", key};
	struct redis_client *client = redis_link_client(queue->link);
	int rc = redis_client_command(client, 3, set, NULL, COMMAND_TIMEOUT_MS, NULL, NULL, &err);
	if (!rc)
		rc = redis_client_command(client, 2, get, NULL, COMMAND_TIMEOUT_MS, on_base, queue, &err);
	queue->base.asked = rc == 0;
}

/* ---- looking ---- */

static void note_rate(struct queue *queue, int64_t now_ms)
{
	struct queue_progress *progress = &queue->progress;
	if (!queue->rate_ms) {
		queue->rate_ms = now_ms;
		queue->rate_done = progress->done;
		return;
	}
	int64_t passed_ms = now_ms - queue->rate_ms;
	if (passed_ms < RATE_WINDOW_MS && progress->rate > 0)
		return;
	if (passed_ms <= 0)
		return;
	double rate = (double)(progress->done - queue->rate_done) * 1000 / (double)passed_ms;
	progress->rate = progress->rate > 0 ? progress->rate + RATE_NEW * (rate - progress->rate) : rate;
	if (passed_ms >= RATE_WINDOW_MS) {
		queue->rate_ms = now_ms;
		queue->rate_done = progress->done;
	}
}

static void take_numbers(struct queue *queue, const struct resp_value *reply)
{
	struct queue_progress *progress = &queue->progress;
	const struct queue_base *base = &queue->base;
	progress->waiting = counter(reply, "waiting");
	progress->leased = counter(reply, "leased") + counter(reply, "outbox");
	progress->dead = counter(reply, "dead");
	progress->holders = counter(reply, "holders");
	progress->done = counter(reply, "done") - base->done;
	progress->failed = counter(reply, "failed") - base->failed;
	progress->empty = counter(reply, "empty") - base->empty;
	progress->duplicates = counter(reply, "duplicates") - base->duplicates;
	progress->lost = counter(reply, "lost") - base->lost;
	progress->returned = counter(reply, "returned") - base->returned;
	progress->known = true;
	queue->waiting = progress->waiting;
}

static void on_looked(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->looking = false;
	if (err)
		return;
	bool counts = queue->state == QUEUE_RUNNING || queue->state == QUEUE_DRAINING;
	if (counts && !queue->base.known) {
		if (!queue->base.asked)
			ask_base(queue, reply);
		return;
	}
	take_numbers(queue, reply);
	note_rate(queue, clock_monotonic_ms());
}

void queue_look(struct queue *queue, int64_t now_ms)
{
	struct script_call call;
	struct err err = {0};
	if (queue->looking)
		return;
	queue->looked_ms = now_ms;
	queue_call_init(queue, &call);
	queue->looking = queue_ask(queue, &call, SCRIPT_PROGRESS, 2, -1, on_looked, queue, &err) != NULL;
}

void queue_note_idle(struct queue *queue, int64_t now_ms)
{
	const struct queue_progress *progress = &queue->progress;
	const struct task_spec *spec = &queue->task->spec;
	bool idle = progress->known && progress->waiting == 0 && progress->leased == 0;
	if (!idle || !spec->auto_finish || queue->idle_told) {
		queue->idle_since_ms = 0;
		return;
	}
	if (!queue->idle_since_ms)
		queue->idle_since_ms = now_ms;
	if (now_ms - queue->idle_since_ms < spec->auto_finish_after_s * 1000)
		return;
	queue->idle_told = true;
	queue->owner->on_idle(queue->owner->context, queue);
}

/* ---- reading ---- */

const struct queue_progress *queue_progress(const struct queue *queue)
{
	return &queue->progress;
}

json_t *queue_progress_json(const struct queue *queue)
{
	const struct queue_progress *p = &queue->progress;
	const char *blocked = queue_blocked(queue);
	int64_t left = p->waiting + p->leased;
	json_t *eta = p->known && p->rate > 0 && queue->state == QUEUE_RUNNING ? json_real((double)left / p->rate) : json_null();
	if (!p->known) {
		json_decref(eta);
		return json_pack("{s:s*}", "blocked", *blocked ? blocked : NULL);
	}
	return json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:f, s:o, s:s*}", "total",
			 (json_int_t)(left + p->done + p->dead), "waiting", (json_int_t)p->waiting, "leased",
			 (json_int_t)p->leased, "done", (json_int_t)p->done, "failed", (json_int_t)p->failed, "empty",
			 (json_int_t)p->empty, "dead", (json_int_t)p->dead, "duplicates", (json_int_t)p->duplicates, "lost",
			 (json_int_t)p->lost, "returned", (json_int_t)p->returned, "rate", p->rate, "eta", eta, "blocked",
			 *blocked ? blocked : NULL);
}
