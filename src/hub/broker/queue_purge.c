/* Owns the emptying of a cancelled task's queue. Called by the queue's tick when nothing of the task is out any more; never while
 * another task works on the same queue, which the API sees to (tasks_cancel with purge is refused, and so are new tasks meanwhile).
 *
 *   (settled) --output elsewhere--> UNLINK there --> purge.lua, step by step --> SETTLED
 *                                       |                 |
 *                                       +--error----------+--> the next tick begins anew: all of it may be repeated */
#include "hub/broker/queue_parts.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

enum { COMMAND_TIMEOUT_MS = 30 * 1000, CURSOR_SIZE = 24, OUTPUT_KEYS = 4 };

static void ask_step(struct queue *queue, const char *cursor);

static void end(struct queue *queue, const struct err *err)
{
	queue->purging = false;
	if (!err)
		return;
	if (!queue->purge_told && err->code != ERR_CANCELLED)
		log_warn(queue->subject, "what is left of it cannot be dropped yet: %s; trying again", err->text);
	queue->purge_told = true;
	queue->clean_settles = 0; /* look again whether that is still all there is */
}

static void finish(struct queue *queue)
{
	queue->progress.waiting = queue->progress.leased = queue->progress.dead = 0;
	end(queue, NULL);
	queue_set_state(queue, QUEUE_SETTLED);
}

/* [holders, cursor, items, dead letters, results] */
static void on_step(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	struct err strange = {0};
	char cursor[CURSOR_SIZE] = "";
	bool good = !err && reply->count == 5 && reply->elements[1].type == RESP_BULK && reply->elements[1].len < CURSOR_SIZE;
	if (!err && (!good || reply_number(reply, 0) > 0)) {
		(void)err_set(&strange, ERR_PROTOCOL, good ? "something of it is out again" : "Redis answered something strange");
		err = &strange;
	}
	if (err || queue->state != QUEUE_DRAINING) {
		end(queue, err);
		return;
	}
	memcpy(cursor, reply->elements[1].text, reply->elements[1].len);
	if (reply_number(reply, 2) + reply_number(reply, 3) + reply_number(reply, 4) > 0)
		log_info(queue->subject, "purged: %lld items, %lld dead letters, %lld results", (long long)reply_number(reply, 2),
			 (long long)reply_number(reply, 3), (long long)reply_number(reply, 4));
	if (strcmp(cursor, "0") == 0)
		finish(queue);
	else
		ask_step(queue, cursor);
}

static void ask_step(struct queue *queue, const char *cursor)
{
	struct script_call call;
	struct err err = {0};
	const char *output = queue->output ? NULL : queue->task->spec.output_queue;
	queue_call_init(queue, &call);
	script_call_add_text(&call, output ? output : "");
	script_call_add_text(&call, cursor);
	if (!queue_ask(queue, &call, SCRIPT_PURGE, 3, -1, on_step, queue, &err))
		end(queue, &err);
}

static void on_output_gone(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	(void)reply;
	if (err || queue->state != QUEUE_DRAINING || !redis_link_is_up(queue->link))
		end(queue, err);
	else
		ask_step(queue, "0");
}

static void unlink_output(struct queue *queue)
{
	static const char *const ENDS[OUTPUT_KEYS] = {"", ":idm:applied", ":idm:refused", ":idm:taken"};
	char names[OUTPUT_KEYS][LIMIT_QUEUE_NAME + 32];
	const char *argv[OUTPUT_KEYS + 1] = {"UNLINK"};
	struct err err = {0};
	for (size_t i = 0; i < OUTPUT_KEYS; i++) {
		(void)snprintf(names[i], sizeof(names[i]), "%s%s", queue->task->spec.output_queue, ENDS[i]);
		argv[i + 1] = names[i];
	}
	if (redis_client_command(redis_link_client(queue->output), OUTPUT_KEYS + 1, argv, NULL, COMMAND_TIMEOUT_MS, on_output_gone,
				 queue, &err))
		end(queue, &err);
}

void queue_purge(struct queue *queue)
{
	if (queue->purging)
		return;
	queue->purging = true;
	if (queue->output && queue->task->spec.output_queue)
		unlink_output(queue);
	else
		ask_step(queue, "0");
}

void queue_purge_close(struct queue *queue)
{
	if (queue->output)
		redis_client_forget(redis_link_client(queue->output), queue);
}
