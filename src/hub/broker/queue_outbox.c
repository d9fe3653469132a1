/* Owns the way of results to an output on another Redis (R9): decided there first, written here second, lowest number first.
 * Called after commits and by the tick; one round under way at a time.
 *
 *   outbox_next (input's Redis) --entries--> outbox_apply (output's Redis) --texts--> outbox_done (input's Redis) --> again
 *
 * Each step may be repeated: the output's Redis knows the last number that it has. Failure modes: either Redis is away (the
 * entries stay, the tick comes back); an entry can never be written (it becomes dead letters, with the reason). */
#include "hub/broker/queue_parts.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { ROUND_ENTRIES = 500, ROUND_BYTES = 4 * 1024 * 1024, PARTS_OF_ENTRY = 3 };

/* The entries of one round, copied, since the answer of outbox_next is gone when outbox_apply answers. */
struct outbox_round {
	struct queue *queue;
	size_t count;
	char **numbers; /* q of each */
};

static void free_round(struct outbox_round *round)
{
	for (size_t i = 0; round && i < round->count; i++)
		free(round->numbers[i]);
	if (round)
		free(round->numbers);
	free(round);
}

static void end(struct queue *queue, const struct err *err)
{
	queue->pumping = false;
	if (err && err->code != ERR_CANCELLED)
		log_debug(queue->subject, "outbox: %s", err->text);
	else if (!err && queue->pump_again)
		queue_pump(queue);
}

/* ---- done ---- */

static void on_done(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	end(queue, err);
	if (!err && reply_number(reply, 1) > 0)
		log_error(queue->subject, "%lld results could not be written to the output's Redis: dead letters",
			  (long long)reply_number(reply, 1));
	if (!err && reply_number(reply, 0) > 0) {
		queue->owner->on_results(queue->owner->context, queue);
		queue_pump(queue);
	}
}

static void tell_done(struct outbox_round *round, const struct resp_value *texts)
{
	struct queue *queue = round->queue;
	struct script_call call;
	struct err err = {0};
	queue_call_init(queue, &call);
	script_call_add_number(&call, (int64_t)round->count);
	for (size_t i = 0; i < round->count; i++) {
		script_call_add_text(&call, round->numbers[i]);
		script_call_add_text(&call, resp_is(&texts->elements[i], "ok") ? "" : texts->elements[i].text);
	}
	if (!queue_ask(queue, &call, SCRIPT_OUTBOX_DONE, 2, -1, on_done, queue, &err))
		end(queue, &err);
}

/* ---- apply ---- */

static void on_applied(void *context, const struct resp_value *reply, const struct err *err)
{
	struct outbox_round *round = context;
	round->queue->round = NULL;
	const struct resp_value *texts = err ? NULL : reply_array(reply, 0);
	if (texts && texts->count == round->count)
		tell_done(round, texts);
	else
		end(round->queue, err);
	free_round(round);
}

static struct outbox_round *copy_round(struct queue *queue, const struct resp_value *entries)
{
	struct outbox_round *round = calloc(1, sizeof(*round));
	if (!round)
		return NULL;
	round->queue = queue;
	round->numbers = calloc(entries->count / PARTS_OF_ENTRY + 1, sizeof(*round->numbers));
	for (size_t i = 0; round->numbers && i + PARTS_OF_ENTRY <= entries->count; i += PARTS_OF_ENTRY) {
		if (!resp_is(&entries->elements[i + 1], queue->destination))
			break; /* of another task, with another output: its own queue brings it there */
		round->numbers[round->count] = strdup(entries->elements[i].text);
		if (!round->numbers[round->count])
			break;
		round->count++;
	}
	if (round->count > 0)
		return round;
	free_round(round);
	return NULL;
}

static int apply(struct outbox_round *round, const char *source, const struct resp_value *entries, struct err *err)
{
	struct queue *queue = round->queue;
	const char *output = queue->task->spec.output_queue ? queue->task->spec.output_queue : "";
	char applied[LIMIT_QUEUE_NAME + 32];
	char refused[LIMIT_QUEUE_NAME + 32];
	struct script_call call;
	(void)snprintf(applied, sizeof(applied), "%s:idm:applied", output);
	(void)snprintf(refused, sizeof(refused), "%s:idm:refused", output);
	script_call_init(&call);
	script_call_add_text(&call, output);
	script_call_add_text(&call, applied);
	script_call_add_text(&call, refused);
	script_call_add_text(&call, source);
	script_call_add_number(&call, (int64_t)round->count);
	for (size_t i = 0; i < round->count; i++) {
		const struct resp_value *writes = &entries->elements[i * PARTS_OF_ENTRY + 2];
		script_call_add_text(&call, round->numbers[i]);
		script_call_add(&call, writes->text, writes->len);
	}
	int rc = script_call_send(&call, redis_link_client(queue->output), SCRIPT_OUTBOX_APPLY, 3, on_applied, round, err);
	script_call_done(&call);
	if (!rc)
		queue->round = round;
	return rc;
}

/* ---- next ---- */

static void on_next(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	const struct resp_value *entries = err ? NULL : reply_array(reply, 1);
	struct err trouble = {0};
	if (!entries || entries->count < PARTS_OF_ENTRY) {
		end(queue, err);
		return;
	}
	struct outbox_round *round = copy_round(queue, entries);
	if (!round || apply(round, reply->elements[0].text, entries, &trouble)) {
		free_round(round);
		end(queue, trouble.code ? &trouble : NULL);
	}
}

void queue_pump(struct queue *queue)
{
	struct script_call call;
	struct err err = {0};
	queue->pumped_ms = clock_monotonic_ms();
	queue->pump_again = queue->pumping;
	if (queue->pumping || !redis_link_is_up(queue->link) || !redis_link_is_up(queue->output))
		return;
	queue_call_init(queue, &call);
	script_call_add_number(&call, ROUND_ENTRIES);
	script_call_add_number(&call, ROUND_BYTES);
	queue->pumping = queue_ask(queue, &call, SCRIPT_OUTBOX_NEXT, 2, -1, on_next, queue, &err) != NULL;
}

void queue_outbox_close(struct queue *queue)
{
	if (!queue->round)
		return;
	redis_client_forget(redis_link_client(queue->output), queue->round);
	free_round(queue->round);
	queue->round = NULL;
}
