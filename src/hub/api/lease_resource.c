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
		.max = node_guard_is_on(&node->guard) ? 1 : wanted->max,
		.bytes = wanted->bytes,
		.received_ms = now,
		.deadline_ms = news ? now : now + wanted->wait_s * 1000,
		.not_before_ms = node->guard.not_before_ms,
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
	call->request->holder = exchange;
	call->request->on_gone = on_lease_gone;
	queue_lease_begin(&exchange->call, queue);
	http_hold(call->request); /* may be gone at once, and the exchange with it */
	broker_start_lease(call->hub->broker, queue, node->id);
}
