/* Owns the calls about dead letters, /api/tasks/{name}/dead. Called by the dispatcher; asks the task's queue, and holds the request
 * meanwhile. A settled task's queue is opened again for them. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "hub/api/handlers.h"
#include "hub/api/node_plane.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <stdlib.h>
#include <string.h>

enum { PARTS_OF_LETTER = 6, COUNT_DEFAULT = 100, COUNT_MAX = 1000, ROUNDS_MAX = 10000 };

/* A person's call on its way:
 *
 *   (asked) --the task's Redis was never tried--> WAITING --it answers, or not--> asking --> answered
 *      |                                                                            ^  |
 *      +----------------------------------------------------------------------------+  +--more: again */
struct dead_exchange {
	struct http_request *request;
	struct queue *queue;
	struct queue_ready ready;
	bool waiting;          /* ready is with the queue */
	struct queue_op *op;
	void (*ask)(struct dead_exchange *exchange, struct err *err);
	int64_t cursor, count; /* of the list */
	json_t *ids;           /* retry and drop; NULL: all */
	const char *done_name; /* how the answer calls what was done */
	int64_t changed;       /* letters retried or dropped so far */
	unsigned rounds;
};

static void free_exchange(struct dead_exchange *exchange)
{
	if (exchange->waiting)
		queue_unwait_ready(exchange->queue, &exchange->ready);
	json_decref(exchange->ids);
	free(exchange);
}

static void on_gone(struct http_request *request)
{
	struct dead_exchange *exchange = request->holder;
	queue_op_abandon(exchange->op);
	free_exchange(exchange);
}

/* False when it was answered instead. */
static bool ask_or_refuse(struct dead_exchange *exchange)
{
	struct err err = {0};
	exchange->op = NULL;
	exchange->ask(exchange, &err);
	if (exchange->op)
		return true;
	reply_redis_err(exchange->request, &err);
	free_exchange(exchange);
	return false;
}

static void on_ready(void *context)
{
	struct dead_exchange *exchange = context;
	exchange->waiting = false;
	(void)ask_or_refuse(exchange);
}

static void begin(struct dead_exchange *exchange)
{
	struct http_request *request = exchange->request;
	request->holder = exchange;
	request->on_gone = on_gone;
	exchange->ready = (struct queue_ready){.context = exchange, .on_ready = on_ready};
	exchange->waiting = queue_wait_ready(exchange->queue, &exchange->ready);
	if (exchange->waiting || ask_or_refuse(exchange))
		http_hold(request);
}

static struct queue *find_queue(struct api_call *call)
{
	const struct task *task = tasks_find(call->hub->tasks, call->param);
	struct err err = {0};
	if (!task)
		(void)err_set(&err, ERR_NOT_FOUND, "there is no task named \"%.128s\"", call->param);
	struct queue *queue = task ? broker_reopen(call->hub->broker, task, &err) : NULL;
	if (!queue)
		reply_err(call->request, &err);
	return queue;
}

static struct dead_exchange *new_exchange(struct api_call *call, struct queue *queue)
{
	struct dead_exchange *exchange = calloc(1, sizeof(*exchange));
	if (!exchange)
		reply_json(call->request, HTTP_OK, NULL);
	else
		*exchange = (struct dead_exchange){.request = call->request, .queue = queue};
	return exchange;
}

/* ---- the list ---- */

static json_t *integer_of(const struct resp_value *value)
{
	return json_integer(value->type == RESP_INTEGER ? value->integer : strtoll(value->text, NULL, 10));
}

/* Payloads are bytes: what is no UTF-8 is shown with question marks; it goes on as it is. */
static json_t *letter(const struct resp_value *part)
{
	json_t *error = json_loadb(part[4].text, part[4].len, 0, NULL);
	return json_pack("{s:s#, s:o, s:o, s:o, s:o, s:o}", "id", part[0].text, (int)part[0].len, "item",
			 json_lossy_string(part[1].text), "attempts", integer_of(&part[2]), "losses", integer_of(&part[3]),
			 "error", error ? error : json_null(), "died_at_ms", integer_of(&part[5]));
}

static json_t *letters(const struct resp_value *list)
{
	json_t *array = json_array();
	for (size_t i = 0; array && list && i + PARTS_OF_LETTER <= list->count; i += PARTS_OF_LETTER) {
		if (json_array_append_new(array, letter(&list->elements[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static void on_list(void *context, const struct resp_value *reply, const struct err *err)
{
	struct dead_exchange *exchange = context;
	if (err)
		reply_redis_err(exchange->request, err);
	else if (reply->count != 3)
		reply_error(exchange->request, HTTP_INTERNAL_ERROR, "internal", "Redis answered something unexpected");
	else
		reply_json(exchange->request, HTTP_OK,
			   json_pack("{s:o, s:o, s:o}", "total", integer_of(&reply->elements[1]), "next_cursor",
				     integer_of(&reply->elements[0]), "dead", letters(&reply->elements[2])));
	free_exchange(exchange);
}

static void ask_list(struct dead_exchange *exchange, struct err *err)
{
	exchange->op = queue_dead_list(exchange->queue, exchange->cursor, exchange->count, on_list, exchange, err);
}

void handle_dead_list(struct api_call *call)
{
	int64_t cursor = node_plane_number(call->request, "cursor");
	int64_t count = node_plane_number(call->request, "count");
	if (cursor == -2 || count == -2 || count == 0 || count > COUNT_MAX) {
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request", "cursor must be a number, count one from 1 to 1000");
		return;
	}
	struct queue *queue = find_queue(call);
	struct dead_exchange *exchange = queue ? new_exchange(call, queue) : NULL;
	if (!exchange)
		return;
	exchange->ask = ask_list;
	exchange->cursor = cursor < 0 ? 0 : cursor;
	exchange->count = count < 0 ? COUNT_DEFAULT : count;
	begin(exchange);
}

/* ---- retry and drop ---- */

/* A thousand at a time, until none is left. */
static void on_changed(void *context, const struct resp_value *reply, const struct err *err)
{
	struct dead_exchange *exchange = context;
	if (err) {
		reply_redis_err(exchange->request, err);
		free_exchange(exchange);
		return;
	}
	bool more = reply->count > 1 && reply->elements[1].integer;
	exchange->changed += reply->count > 0 ? reply->elements[0].integer : 0;
	if (more && ++exchange->rounds < ROUNDS_MAX) {
		(void)ask_or_refuse(exchange);
		return;
	}
	reply_json(exchange->request, HTTP_OK, json_pack("{s:I}", exchange->done_name, (json_int_t)exchange->changed));
	free_exchange(exchange);
}

static void ask_retry(struct dead_exchange *exchange, struct err *err)
{
	exchange->op = queue_dead_retry(exchange->queue, exchange->ids, on_changed, exchange, err);
}

static void ask_drop(struct dead_exchange *exchange, struct err *err)
{
	exchange->op = queue_dead_drop(exchange->queue, exchange->ids, on_changed, exchange, err);
}

static void change(struct api_call *call, void (*ask)(struct dead_exchange *exchange, struct err *err), const char *done_name)
{
	json_t *ids = NULL;
	struct err err = {0};
	const struct json_field fields[] = {{.name = "ids", .type = JSON_FIELD_STRINGS, .into = &ids}};
	int rc = json_read_fields(call->body, fields, 1, true, &err);
	if (!rc && ids && json_array_size(ids) == 0)
		rc = err_set(&err, ERR_INVALID, "field \"ids\" is empty; without it all dead letters are meant");
	if (rc) {
		reply_err(call->request, &err);
		return;
	}
	struct queue *queue = find_queue(call);
	struct dead_exchange *exchange = queue ? new_exchange(call, queue) : NULL;
	if (!exchange)
		return;
	exchange->ask = ask;
	exchange->done_name = done_name;
	exchange->ids = json_incref(ids);
	begin(exchange);
}

void handle_dead_retry(struct api_call *call)
{
	change(call, ask_retry, "retried");
}

void handle_dead_drop(struct api_call *call)
{
	change(call, ask_drop, "dropped");
}
