/* Owns the blocking move by which a queue learns of new items (R12), on a connection of its own. Called by queue_lease.c while
 * somebody waits; gives nothing itself. */
#include "hub/broker/queue_parts.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdio.h>

enum {
	BLOCK_S = 30, /* a blocking move ends by itself, so that a dead connection shows */
	PATIENCE_S = 10,
	BLOCK_AGAIN_MS = 1000, /* after a refusal */
};

static void on_moved(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue *queue = context;
	queue->blocking = false;
	if (err) {
		queue_note_trouble(queue, err);
		if (redis_link_is_up(queue->link))
			queue_look_at(queue, clock_monotonic_ms() + BLOCK_AGAIN_MS, clock_monotonic_ms());
		return; /* that timer comes back, or on_blocker_up */
	}
	if (reply->type != RESP_NIL)
		queue_wake(queue);
	else if (queue->waits)
		queue_block(queue);
}

static void on_blocker_up(void *context)
{
	queue_wake(context); /* something may have been moved, and the answer lost */
}

static void on_blocker_down(void *context, const struct err *reason)
{
	struct queue *queue = context;
	log_debug(queue->subject, "waiting for items: %s", reason->text);
}

void queue_block(struct queue *queue)
{
	struct err err = {0};
	if (queue->blocking || queue->paused || queue->state != QUEUE_RUNNING)
		return;
	if (!queue->blocker) {
		queue->blocker = redis_link_second_client(queue->link, queue, on_blocker_up, on_blocker_down, &err);
		return;
	}
	char arrived[LIMIT_QUEUE_NAME + 32];
	char timeout[16];
	(void)snprintf(arrived, sizeof(arrived), "%sarrived", queue->keys);
	(void)snprintf(timeout, sizeof(timeout), "%d", BLOCK_S);
	const char *const argv[] = {"BLMOVE", queue->task->spec.input_queue, arrived,
				    queue->task->spec.pop_left ? "LEFT" : "RIGHT", "LEFT", timeout};
	queue->blocking = redis_client_command(queue->blocker, sizeof(argv) / sizeof(argv[0]), argv, NULL,
					       (BLOCK_S + PATIENCE_S) * 1000, on_moved, queue, &err) == 0;
}

void queue_unblock(struct queue *queue)
{
	redis_client_close(queue->blocker);
	queue->blocker = NULL;
	queue->blocking = false;
}
