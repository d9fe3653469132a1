/* Owns what people see of a queue: how much waits, is out, is done, and how fast. Called by the queue's tick; changes nothing in
 * Redis but one key: the counters as they stood when the task began, since they count for all tasks of a queue. */
#include "hub/broker/queue_parts.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
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

static const char *const COUNT_NAMES[COUNTS] = {
	[COUNT_DONE] = "done",	     [COUNT_FAILED] = "failed", [COUNT_EMPTY] = "empty", [COUNT_DUPLICATES] = "duplicates",
	[COUNT_LOST] = "lost", [COUNT_RETURNED] = "returned"};

static void on_base(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->base.asked = false;
	if (err || reply->type != RESP_BULK)
		return;
	AUTO_JSON json_t *object = json_loadb(reply->text, reply->len, 0, NULL);
	for (size_t i = 0; i < COUNTS; i++)
		queue->base.counts[i] = json_integer_value(json_object_get(object, COUNT_NAMES[i]));
	queue->base.known = true;
	queue_look(queue, clock_monotonic_ms());
	queue_wake(queue); /* who has waited for just this */
}

static void base_key(const struct queue *queue, char key[BASE_KEY_SIZE])
{
	(void)snprintf(key, BASE_KEY_SIZE, "%sbase:%s", queue->keys, queue->task->id);
}

static void tell(const struct queue *queue, size_t argc, const char *const *argv)
{
	struct err err = {0};
	if (redis_client_command(redis_link_client(queue->link), argc, argv, NULL, COMMAND_TIMEOUT_MS, NULL, NULL, &err))
		log_debug(queue->subject, "some keys stay in Redis: %s", err.text);
}

void queue_forget_keys(struct queue *queue)
{
	char key[BASE_KEY_SIZE];
	char nodes[BASE_KEY_SIZE];
	char loose[BASE_KEY_SIZE];
	base_key(queue, key);
	const char *const expire[] = {"EXPIRE", key, BASE_KEPT_S};
	tell(queue, sizeof(expire) / sizeof(expire[0]), expire);
	(void)snprintf(nodes, sizeof(nodes), "%snodes", queue->keys);
	(void)snprintf(loose, sizeof(loose), "%sloose", queue->keys);
	const char *const del[] = {"DEL", nodes, loose};
	if (!queue_has_sharer(queue)) /* no call of a settled task reaches Redis any more */
		tell(queue, sizeof(del) / sizeof(del[0]), del);
}

/* The counters as JSON; false when something is strange. */
static bool form_base(const struct resp_value *reply, char *text, size_t size)
{
	size_t len = 0;
	for (size_t i = 0; i < COUNTS && len < size; i++)
		len += (size_t)snprintf(text + len, size - len, "%c\"%s\":%lld", i ? ',' : '{', COUNT_NAMES[i],
					(long long)counter(reply, COUNT_NAMES[i]));
	if (len < size)
		len += (size_t)snprintf(text + len, size - len, "}");
	return len < size;
}

static void ask_base(struct queue *queue, const struct resp_value *reply)
{
	char key[BASE_KEY_SIZE];
	char text[512];
	struct err err = {0};
	base_key(queue, key);
	const char *const set[] = {"SETNX", key, text};
	const char *const get[] = {"GET", key};
	struct redis_client *client = redis_link_client(queue->link);
	int rc = form_base(reply, text, sizeof(text)) ? 0 : ERR_INTERNAL;
	if (!rc)
		rc = redis_client_command(client, 3, set, NULL, COMMAND_TIMEOUT_MS, NULL, NULL, &err);
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
		queue->rate_done = progress->counts[COUNT_DONE];
		return;
	}
	int64_t passed_ms = now_ms - queue->rate_ms;
	if (passed_ms < RATE_WINDOW_MS && progress->rate > 0)
		return;
	if (passed_ms <= 0)
		return;
	double rate = (double)(progress->counts[COUNT_DONE] - queue->rate_done) * 1000 / (double)passed_ms;
	progress->rate = progress->rate > 0 ? progress->rate + RATE_NEW * (rate - progress->rate) : rate;
	if (passed_ms >= RATE_WINDOW_MS) {
		queue->rate_ms = now_ms;
		queue->rate_done = progress->counts[COUNT_DONE];
	}
}

/* Whether the task's own counting goes on: it has begun, and no later task has taken over its queue. */
static bool counts(const struct queue *queue)
{
	return (queue->state == QUEUE_RUNNING || queue->state == QUEUE_DRAINING) && !queue->reopened;
}

static void take_numbers(struct queue *queue, const struct resp_value *reply)
{
	struct queue_progress *progress = &queue->progress;
	const struct queue_base *end = counts(queue) ? queue_end_of_count(queue) : NULL;
	progress->known = true;
	progress->outbox = counter(reply, "outbox");
	progress->holders = counter(reply, "holders");
	queue->waiting = counter(reply, "waiting");
	for (size_t i = 0; counts(queue) && i < COUNTS; i++) {
		int64_t now = end ? end->counts[i] : counter(reply, COUNT_NAMES[i]);
		progress->counts[i] = now > queue->base.counts[i] ? now - queue->base.counts[i] : 0;
	}
	if (end) { /* the rest is the later task's now */
		progress->waiting = progress->leased = 0;
		progress->rate = 0;
		return;
	}
	progress->waiting = queue->waiting;
	progress->leased = counter(reply, "leased") + progress->outbox;
	progress->dead = counter(reply, "dead");
	if (counts(queue))
		note_rate(queue, clock_monotonic_ms());
}

static void on_looked(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->looking = false;
	if (err) {
		queue_note_trouble(queue, err);
		return;
	}
	queue->trouble[0] = '\0';
	queue->looked_clean = queue->clean_settles >= CLEAN_SETTLES;
	if (!counts(queue) || queue->base.known)
		take_numbers(queue, reply);
	else if (!queue->base.asked)
		ask_base(queue, reply);
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
	if (!idle || !spec->auto_finish || queue->paused || queue->idle_told) {
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

/* For people; what a program wants more exactly, it measures itself. */
static double tenths(double number)
{
	return (double)(int64_t)(number * 10 + 0.5) / 10;
}

const struct queue_progress *queue_progress(const struct queue *queue)
{
	return &queue->progress;
}

/* A task that had settled keeps its numbers; only its dead letters may be fewer. */
static json_t *saved_json(const struct queue *queue)
{
	json_t *object = json_copy(queue->saved);
	if (object && queue->progress.known && json_object_set_new(object, "dead", json_integer(queue->progress.dead))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static json_t *numbers_json(const struct queue *queue)
{
	const struct queue_progress *p = &queue->progress;
	int64_t left = p->waiting + p->leased;
	json_int_t total = left + p->counts[COUNT_DONE] + p->dead;
	bool moves = p->rate > 0 && queue->state == QUEUE_RUNNING && !queue->paused;
	json_t *eta = moves ? json_real(tenths((double)left / p->rate)) : json_null();
	json_t *object = json_pack("{s:I, s:I, s:I, s:I, s:f, s:o}", "total",
				   total, "waiting", (json_int_t)p->waiting,
				   "leased", (json_int_t)p->leased, "dead", (json_int_t)p->dead, "rate", tenths(p->rate), "eta", eta);
	for (size_t i = 0; object && i < COUNTS; i++) {
		if (json_object_set_new(object, COUNT_NAMES[i], json_integer(p->counts[i]))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

json_t *queue_progress_json(const struct queue *queue)
{
	const char *blocked = queue_blocked(queue);
	json_t *object = queue->saved ? saved_json(queue) : queue->progress.known ? numbers_json(queue) : json_object();
	if (object && *blocked && json_object_set_new(object, "blocked", json_lossy_string(blocked))) {
		json_decref(object);
		return NULL;
	}
	return object;
}
