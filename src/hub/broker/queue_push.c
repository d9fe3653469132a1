/* Owns the way of pushed items into the input list. Called by the API for people; whether a push goes on is theirs to decide. */
#include "hub/broker/queue_parts.h"

#include "base/clock.h"

enum {
	COUNT_KEPT_S = 7 * 24 * 3600, /* how long a push can be gone on with */
	LOOK_AGAIN_MS = 100,
};

struct queue_op *queue_push(struct queue *queue, const struct push_batch *batch, queue_on_reply *on_reply, void *context,
			    struct err *err)
{
	struct script_call call;
	queue_call_init(queue, &call);
	script_call_add_text(&call, queue->task->spec.pop_left ? "left" : "right");
	script_call_add_text(&call, batch->push);
	script_call_add_number(&call, COUNT_KEPT_S);
	script_call_add_number(&call, batch->first);
	script_call_add_number(&call, (int64_t)batch->count);
	for (size_t i = 0; i < batch->count; i++)
		script_call_add(&call, batch->items[i], batch->lens[i]);
	struct queue_op *op = queue_ask(queue, &call, SCRIPT_PUSH, 2, -1, on_reply, context, err);
	int64_t now = clock_monotonic_ms();
	if (op && now - queue->looked_ms >= LOOK_AGAIN_MS)
		queue_look(queue, now); /* who pushed sees it in the numbers */
	return op;
}
