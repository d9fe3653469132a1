/* Owns what a queue has asked of Redis and was not answered yet. Called by the queue's other files; never decides what to ask. */
#include "hub/broker/queue_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct queue_op {
	struct queue *queue;
	int back_at;
	queue_on_reply *on_reply; /* NULL: nobody is told, or abandoned */
	void *context;
	struct queue_op *prev, *next;
};

void queue_call_init(struct queue *queue, struct script_call *call)
{
	script_call_init(call);
	script_call_add_text(call, queue->task->spec.input_queue);
	script_call_add_text(call, queue->keys);
}

int64_t reply_number(const struct resp_value *reply, size_t i)
{
	bool there = reply && reply->type == RESP_ARRAY && i < reply->count && reply->elements[i].type == RESP_INTEGER;
	return there ? reply->elements[i].integer : 0;
}

const struct resp_value *reply_array(const struct resp_value *reply, size_t i)
{
	bool there = reply && reply->type == RESP_ARRAY && i < reply->count && reply->elements[i].type == RESP_ARRAY;
	return there ? &reply->elements[i] : NULL;
}

static void finish(struct queue_op *op, const struct resp_value *reply, const struct err *err)
{
	DL_DELETE(op->queue->ops, op);
	if (op->on_reply)
		op->on_reply(op->context, reply, err);
	free(op);
}

static void on_reply(void *context, const struct resp_value *reply, const struct err *err)
{
	struct queue_op *op = context;
	struct queue *queue = op->queue;
	struct err strange = {0};
	if (!err && reply->type != RESP_ARRAY) {
		(void)err_set(&strange, ERR_PROTOCOL, "%s answered what no script of ours does",
			      redis_client_name(redis_link_client(queue->link)));
		err = &strange;
	}
	bool back = !err && op->back_at >= 0 && reply_number(reply, (size_t)op->back_at) > 0;
	finish(op, err ? NULL : reply, err);
	if (back)
		queue_wake(queue);
}

struct queue_op *queue_ask(struct queue *queue, struct script_call *call, enum broker_script script, size_t key_count,
			   int back_at, queue_on_reply *on_answer, void *context, struct err *err)
{
	struct queue_op *op = calloc(1, sizeof(*op));
	int rc = ERR_NOMEM;
	if (op) {
		*op = (struct queue_op){.queue = queue, .back_at = back_at, .on_reply = on_answer, .context = context};
		rc = script_call_send(call, redis_link_client(queue->link), script, key_count, on_reply, op, err);
	} else {
		(void)err_set(err, ERR_NOMEM, "out of memory");
	}
	script_call_done(call);
	if (rc || !op) {
		free(op);
		return NULL;
	}
	DL_APPEND(queue->ops, op);
	return op;
}

void queue_op_abandon(struct queue_op *op)
{
	if (op)
		op->on_reply = NULL;
}

/* The answers still come to the client, which is shared: it is told to forget ours. */
void queue_ops_cancel(struct queue *queue)
{
	struct err err;
	(void)err_set(&err, ERR_CANCELLED, "the hub ends, or has forgotten the task");
	while (queue->ops) {
		struct queue_op *op = queue->ops;
		redis_client_forget(redis_link_client(queue->link), op);
		finish(op, NULL, &err);
	}
}
