/* Owns the queue's smaller calls: inventory, a heartbeat's renewal, dead letters. Called by the API's handlers, who read the
 * scripts' answers themselves. */
#include "hub/broker/queue_parts.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static const int64_t EVERYTHING = INT64_C(9007199254740991); /* an r above every take number: the node leaves */

struct queue_op *queue_inventory(struct queue *queue, const struct inventory_request *request, queue_on_reply *on_reply,
				 void *context, struct err *err)
{
	struct script_call call;
	size_t i;
	json_t *pair;
	size_t count = request->leave ? 0 : json_array_size(request->pairs);
	char node[QUEUE_NODE_SIZE];
	queue_node_name(queue, request->node_id, node);
	queue_call_init(queue, &call);
	script_call_add_text(&call, node);
	script_call_add_number(&call, request->epoch);
	script_call_add_number(&call, request->leave ? EVERYTHING : request->r);
	script_call_add_number(&call, MAX_LOSSES);
	script_call_add_number(&call, (int64_t)count);
	json_array_foreach(request->pairs, i, pair) {
		if (i >= count)
			break;
		script_call_add_text(&call, json_string_value(json_array_get(pair, 0)));
		script_call_add_number(&call, json_integer_value(json_array_get(pair, 1)));
	}
	return queue_ask(queue, &call, SCRIPT_INVENTORY, 2, 1, on_reply, context, err);
}

void queue_renew(struct queue *queue, const char *node, int64_t epoch, json_t *unopened)
{
	struct script_call call;
	struct err err = {0};
	size_t i;
	json_t *id;
	if (!redis_link_is_up(queue->link))
		return; /* when it is back, everybody gets a full period (R8) */
	char name[QUEUE_NODE_SIZE];
	queue_node_name(queue, node, name);
	queue_call_init(queue, &call);
	script_call_add_text(&call, name);
	script_call_add_number(&call, epoch);
	script_call_add_number(&call, queue->owner->lease_ms);
	script_call_add_number(&call, MAX_LOSSES);
	script_call_add_number(&call, (int64_t)json_array_size(unopened));
	json_array_foreach(unopened, i, id)
		script_call_add_text(&call, json_string_value(id));
	if (!queue_ask(queue, &call, SCRIPT_RENEW, 2, 2, NULL, NULL, &err))
		log_debug(queue->subject, "renewing %s: %s", node, err.text);
}

void queue_bury(struct queue *queue, const struct lease_call *holder, const struct resp_value *id, const char *reason)
{
	enum { ONE_ATTEMPT = 1, NOT_TWO_NODES = 0, NO_AVOIDING = 0, NOT_ALONE = 0, ONE_ITEM = 1, NOT_TOGETHER = 0 };
	struct script_call call;
	struct err err = {0};
	char node[QUEUE_NODE_SIZE];
	char name[QUEUE_NODE_SIZE + 24];
	queue_node_name(queue, holder->node, node);
	(void)snprintf(name, sizeof(name), "%s:%lld", node, (long long)holder->epoch);
	AUTO_JSON json_t *error = json_pack("{s:s}", "reason", reason);
	AUTO_FREE char *text = error ? json_dumps(error, JSON_COMPACT) : NULL;
	queue_call_init(queue, &call);
	script_call_add_text(&call, name);
	script_call_add_number(&call, ONE_ATTEMPT);
	script_call_add_number(&call, NOT_TWO_NODES);
	script_call_add_number(&call, NO_AVOIDING);
	script_call_add_number(&call, NOT_ALONE);
	script_call_add_number(&call, ONE_ITEM);
	script_call_add(&call, id->text, id->len);
	script_call_add_number(&call, holder->n);
	script_call_add_text(&call, text ? text : "");
	script_call_add_number(&call, NOT_TOGETHER);
	log_error(queue->subject, "an item became a dead letter: %s", reason);
	if (!queue_ask(queue, &call, SCRIPT_FAIL, 2, 0, NULL, NULL, &err))
		log_debug(queue->subject, "burying: %s", err.text); /* it comes again with the same number */
}

struct queue_op *queue_dead_list(struct queue *queue, int64_t cursor, int64_t count, queue_on_reply *on_reply, void *context,
				 struct err *err)
{
	struct script_call call;
	queue_call_init(queue, &call);
	script_call_add_number(&call, cursor);
	script_call_add_number(&call, count);
	return queue_ask(queue, &call, SCRIPT_DEAD_LIST, 2, -1, on_reply, context, err);
}

static struct queue_op *ask_with_ids(struct queue *queue, enum broker_script script, int back_at, json_t *ids,
				     queue_on_reply *on_reply, void *context, struct err *err)
{
	struct script_call call;
	size_t i;
	json_t *id;
	queue_call_init(queue, &call);
	script_call_add_number(&call, (int64_t)json_array_size(ids));
	json_array_foreach(ids, i, id)
		script_call_add_text(&call, json_string_value(id));
	return queue_ask(queue, &call, script, 2, back_at, on_reply, context, err);
}

struct queue_op *queue_dead_retry(struct queue *queue, json_t *ids, queue_on_reply *on_reply, void *context, struct err *err)
{
	return ask_with_ids(queue, SCRIPT_DEAD_RETRY, 0, ids, on_reply, context, err);
}

struct queue_op *queue_dead_drop(struct queue *queue, json_t *ids, queue_on_reply *on_reply, void *context, struct err *err)
{
	return ask_with_ids(queue, SCRIPT_DEAD_DROP, -1, ids, on_reply, context, err);
}
