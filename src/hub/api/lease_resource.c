/* Owns the node's calls for leases: /gridnode/lease, commit, inventory. Called by the dispatcher; asks the task's queue, holds the
 * request meanwhile, and puts its answer into words. Decides nothing about items itself. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "hub/api/handlers.h"
#include "hub/api/node_plane.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"
#include "proto/lease_messages.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS_OF_ITEM = 4, FLAG_ALONE = 1 };

static struct queue *find_queue(struct api_call *call, const char *task_id)
{
	struct queue *queue = broker_queue(call->hub->broker, task_id);
	if (!queue)
		reply_error(call->request, HTTP_NOT_FOUND, "unknown_task", "nothing of this task is on the books any more");
	return queue;
}

/* ---- lease ---- */

/* A lease call on its way: held until the queue answers. */
struct lease_exchange {
	struct hub *hub;
	struct http_request *request;
	struct lease_call call;
};

static int form_answer(struct buf *body, const struct lease_exchange *exchange, enum lease_status status, int64_t waiting,
		       const struct resp_value *items)
{
	const struct node *node = nodes_find(exchange->hub->nodes, exchange->call.node);
	const struct lease_answer answer = {.status = status,
					    .n = exchange->call.n,
					    .version = tasks_version(exchange->hub->tasks),
					    .stop_requested = node && node->stop_requested,
					    .waiting = waiting};
	size_t count = items ? items->count / PARTS_OF_ITEM : 0;
	int rc = lease_answer_begin(body, &answer, count);
	for (size_t i = 0; i < count && !rc; i++) {
		const struct resp_value *part = &items->elements[i * PARTS_OF_ITEM];
		const struct leased_item item = {.id = part[0].text,
						 .id_len = part[0].len,
						 .payload = part[1].text,
						 .payload_len = part[1].len,
						 .failures = part[2].integer,
						 .alone = part[3].integer & FLAG_ALONE};
		rc = lease_answer_add(body, &item);
	}
	return rc;
}

static void on_lease_answer(struct lease_call *call, enum lease_status status, int64_t waiting, const struct resp_value *items)
{
	struct lease_exchange *exchange = call->context;
	struct buf body;
	buf_init(&body, LIMIT_LEASE_ANSWER);
	int rc = form_answer(&body, exchange, status, waiting, items);
	/* What does not fit is asked for again with the same number (R3), and fails there in words. */
	if (rc)
		reply_error(exchange->request, HTTP_INTERNAL_ERROR, "internal",
			    rc == ERR_TOO_BIG ? "an item is larger than a node takes" : "out of memory");
	else
		reply_bytes(exchange->request, HTTP_OK, RESP_CONTENT_TYPE, &body);
	buf_done(&body);
	free(exchange);
}

static void on_lease_gone(struct http_request *request)
{
	struct lease_exchange *exchange = request->holder;
	queue_lease_abandon(&exchange->call);
	free(exchange);
}

/* Monotonic; 0: not held back. */
static int64_t held_back_until(const struct node *node)
{
	return node->guard ? node->guard->not_before_ms : 0;
}

static struct lease_exchange *new_exchange(struct api_call *call, const struct node *node, const struct lease_request *wanted)
{
	struct lease_exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		return NULL;
	int64_t now = clock_monotonic_ms();
	bool news = wanted->version != tasks_version(call->hub->tasks) || node->stop_requested;
	exchange->hub = call->hub;
	exchange->request = call->request;
	exchange->call = (struct lease_call){
		.epoch = wanted->epoch,
		.n = wanted->n,
		.max = node_guard_is_on(node->guard) ? 1 : wanted->max,
		.bytes = wanted->bytes,
		.received_ms = now,
		.deadline_ms = news ? now : now + wanted->wait_s * 1000,
		.not_before_ms = held_back_until(node),
		.context = exchange,
		.answer = on_lease_answer,
	};
	memcpy(exchange->call.node, node->id, sizeof(exchange->call.node));
	return exchange;
}

void handle_node_lease(struct api_call *call)
{
	struct lease_request wanted;
	struct err err = {0};
	if (lease_request_parse(call->body, &wanted, &err)) {
		reply_err(call->request, &err);
		return;
	}
	struct node *node = node_plane_caller(call, wanted.node_id);
	struct queue *queue = node ? find_queue(call, wanted.task_id) : NULL;
	struct lease_exchange *exchange = queue ? new_exchange(call, node, &wanted) : NULL;
	if (!queue)
		return;
	if (!exchange) {
		reply_json(call->request, HTTP_OK, NULL);
		return;
	}
	if (node->draining && queue_state(queue) == QUEUE_RUNNING) {
		on_lease_answer(&exchange->call, LEASE_BLOCKED, 0, NULL); /* never `empty`: a worker would read "nothing is left" */
		return;
	}
	call->request->holder = exchange;
	call->request->on_gone = on_lease_gone;
	if (queue_lease(queue, &exchange->call))
		http_hold(call->request);
}

/* ---- commit ---- */

/* A batch on its way: held until Redis has answered all of it. */
struct commit_exchange {
	struct hub *hub;
	struct http_request *request;
	char node[LIMIT_NODE_ID + 1];
	struct queue_commit *commit;
};

static void free_commit_exchange(struct http_request *request)
{
	struct commit_exchange *exchange = request->holder;
	queue_commit_abandon(exchange->commit);
	free(exchange);
}

/* Why it failed, for the guard: the node's own words, or why its writes were refused. */
static void note_failure(struct node *node, const struct outcome *outcome, const char *message)
{
	AUTO_JSON json_t *error = outcome->error_len ? json_loadb(outcome->error, outcome->error_len, 0, NULL) : NULL;
	const char *reason = message ? message : json_string_value(json_object_get(error, "reason"));
	if (!node->guard && !(node->guard = calloc(1, sizeof(*node->guard))))
		return; /* without memory nobody is judged */
	bool was_on = node_guard_is_on(node->guard);
	node_guard_failure(node->guard, reason ? reason : "no reason given", clock_monotonic_ms(), random_u32());
	if (!was_on && node_guard_is_on(node->guard))
		log_warn(NULL, "node=%s (%s) failed %u items in a row, the last one: %s; it gets one at a time, with pauses",
			 node->id, node->hostname, node->guard->streak, node->guard->reason);
}

/* A repeated failure (duplicate) was judged before. A node whose guard changes asks again: its held call was made under the old. */
static void judge(struct hub *hub, struct node *node, const struct commit_batch *batch, const enum outcome_result *results,
		  char *const *messages)
{
	int64_t before_ms = held_back_until(node);
	for (size_t i = 0; i < commit_count(batch); i++) {
		const struct outcome *outcome = commit_outcome(batch, i);
		if (outcome->kind == OUTCOME_DONE && results[i] == OUTCOME_ACCEPTED)
			free(steal(node->guard));
		else if (outcome->kind == OUTCOME_FAIL && results[i] == OUTCOME_ACCEPTED)
			note_failure(node, outcome, NULL);
		else if (outcome->kind == OUTCOME_DONE && results[i] == OUTCOME_REFUSED)
			note_failure(node, outcome, messages[i] ? messages[i] : "its writes were refused");
	}
	if (before_ms != held_back_until(node))
		broker_release(hub->broker, node->id);
}

static void on_committed(void *context, const struct commit_batch *batch, const enum outcome_result *results,
			 char *const *messages, const struct err *err)
{
	struct commit_exchange *exchange = context;
	struct node *node = nodes_find(exchange->hub->nodes, exchange->node);
	if (!err && node)
		judge(exchange->hub, node, batch, results, messages);
	if (err)
		reply_redis_err(exchange->request, err);
	else
		reply_json(exchange->request, HTTP_OK, commit_answer_encode(results, messages, commit_count(batch)));
	free(exchange);
}

/* ?task_id=…&epoch=…; false when it was refused. */
static bool read_commit_query(struct api_call *call, const char **task_id, int64_t *epoch)
{
	*task_id = http_query(call->request, "task_id");
	*epoch = node_plane_number(call->request, "epoch");
	if (*task_id && *epoch > 0 && *epoch <= LIMIT_NUMBER)
		return true;
	reply_error(call->request, HTTP_BAD_REQUEST, "bad_request", "task_id and epoch are needed in the query");
	return false;
}

static struct commit_batch *read_batch(struct api_call *call)
{
	struct err err = {0};
	struct commit_batch *batch = commit_parse(call->request->body, call->request->body_len, &err);
	if (batch && commit_count(batch) > 0)
		return batch;
	if (batch)
		(void)err_set(&err, ERR_INVALID, "the batch is empty");
	if (err.code == ERR_TOO_BIG)
		reply_error(call->request, HTTP_CONTENT_TOO_LARGE, "too_large", err.text);
	else if (err.code == ERR_NOMEM)
		reply_err(call->request, &err);
	else
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request", err.text);
	commit_free(batch);
	return NULL;
}

void handle_node_commit(struct api_call *call)
{
	const char *task_id;
	int64_t epoch;
	struct err err = {0};
	struct node *node = node_plane_caller(call, http_query(call->request, "node_id"));
	if (!node || !read_commit_query(call, &task_id, &epoch))
		return;
	struct queue *queue = find_queue(call, task_id);
	struct commit_batch *batch = queue ? read_batch(call) : NULL;
	if (!batch)
		return;
	struct commit_exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange) {
		commit_free(batch);
		reply_json(call->request, HTTP_OK, NULL);
		return;
	}
	*exchange = (struct commit_exchange){.hub = call->hub, .request = call->request};
	memcpy(exchange->node, node->id, sizeof(exchange->node));
	call->request->holder = exchange;
	call->request->on_gone = free_commit_exchange;
	struct queue_commit *commit =
		queue_commit(queue, node->id, node->hostname, epoch, batch, on_committed, exchange, &err);
	if (commit) { /* else the exchange may be gone already */
		exchange->commit = commit;
		http_hold(call->request);
	} else if (err.code) {
		reply_redis_err(call->request, &err);
		free(exchange);
	}
}

/* ---- inventory ---- */

struct inventory_exchange {
	struct http_request *request;
	struct queue_op *op;
};

static void free_inventory_exchange(struct http_request *request)
{
	struct inventory_exchange *exchange = request->holder;
	queue_op_abandon(exchange->op);
	free(exchange);
}

static void on_inventory(void *context, const struct resp_value *reply, const struct err *err)
{
	struct inventory_exchange *exchange = context;
	bool superseded = !err && reply->count > 0 && resp_is(&reply->elements[0], "superseded");
	if (err)
		reply_redis_err(exchange->request, err);
	else if (superseded)
		reply_error(exchange->request, HTTP_CONFLICT, "superseded", "a later run of this node has begun");
	else
		reply_json(exchange->request, HTTP_OK, json_pack("{s:I}", "returned", (json_int_t)(reply->count > 1 ? reply->elements[1].integer : 0)));
	free(exchange);
}

void handle_node_inventory(struct api_call *call)
{
	struct inventory_request request;
	struct err err = {0};
	if (inventory_request_parse(call->body, &request, &err)) {
		reply_err(call->request, &err);
		return;
	}
	const struct node *node = node_plane_caller(call, request.node_id);
	struct queue *queue = node ? find_queue(call, request.task_id) : NULL;
	struct inventory_exchange *exchange = queue ? calloc(1, sizeof(*exchange)) : NULL;
	if (!queue)
		return;
	if (!exchange) {
		reply_json(call->request, HTTP_OK, NULL);
		return;
	}
	request.node_id = node->id;
	exchange->request = call->request;
	exchange->op = queue_inventory(queue, &request, on_inventory, exchange, &err);
	if (!exchange->op) {
		reply_redis_err(call->request, &err);
		free(exchange);
		return;
	}
	call->request->holder = exchange;
	call->request->on_gone = free_inventory_exchange;
	http_hold(call->request);
}
