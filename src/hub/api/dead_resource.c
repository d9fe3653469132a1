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

/* A person's call on its way. */
struct dead_exchange {
	struct http_request *request;
	struct queue *queue;
	struct queue_op *op;
	bool retry;      /* else drop */
	json_t *ids;     /* NULL: all */
	int64_t changed; /* letters retried or dropped so far */
	unsigned rounds;
};

static void free_exchange(struct dead_exchange *exchange)
{
	json_decref(exchange->ids);
	free(exchange);
}

static void on_gone(struct http_request *request)
{
	struct dead_exchange *exchange = request->holder;
	queue_op_abandon(exchange->op);
	free_exchange(exchange);
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

/* Sends the first question; what is wrong is answered at once. */
static void hold_or_refuse(struct api_call *call, struct dead_exchange *exchange, const struct err *err)
{
	if (!exchange->op) {
		reply_err(call->request, err);
		free_exchange(exchange);
		return;
	}
	call->request->holder = exchange;
	call->request->on_gone = on_gone;
	http_hold(call->request);
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
		reply_err(exchange->request, err);
	else if (reply->type != RESP_ARRAY || reply->count != 3)
		reply_error(exchange->request, HTTP_INTERNAL_ERROR, "internal", "Redis answered something unexpected");
	else
		reply_json(exchange->request, HTTP_OK,
			   json_pack("{s:o, s:o, s:o}", "total", integer_of(&reply->elements[1]), "next_cursor",
				     integer_of(&reply->elements[0]), "dead", letters(&reply->elements[2])));
	free_exchange(exchange);
}

void handle_dead_list(struct api_call *call)
{
	struct err err = {0};
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
	exchange->op = queue_dead_list(queue, cursor < 0 ? 0 : cursor, count < 0 ? COUNT_DEFAULT : count, on_list, exchange, &err);
	hold_or_refuse(call, exchange, &err);
}

/* ---- retry and drop ---- */

static void on_changed(void *context, const struct resp_value *reply, const struct err *err);

static void ask(struct dead_exchange *exchange, struct err *err)
{
	exchange->op = exchange->retry ? queue_dead_retry(exchange->queue, exchange->ids, on_changed, exchange, err)
				       : queue_dead_drop(exchange->queue, exchange->ids, on_changed, exchange, err);
}

static void on_changed(void *context, const struct resp_value *reply, const struct err *err)
{
	struct dead_exchange *exchange = context;
	struct err trouble = {0};
	bool answered = !err && reply->type == RESP_ARRAY && reply->count == 2;
	exchange->op = NULL;
	if (answered) {
		exchange->changed += reply->elements[0].integer;
		if (reply->elements[1].integer && ++exchange->rounds < ROUNDS_MAX) {
			ask(exchange, &trouble);
			if (exchange->op)
				return;
		}
	}
	if (err || trouble.code)
		reply_err(exchange->request, err ? err : &trouble);
	else
		reply_json(exchange->request, HTTP_OK,
			   json_pack("{s:I}", exchange->retry ? "retried" : "dropped", (json_int_t)exchange->changed));
	free_exchange(exchange);
}

static void change(struct api_call *call, bool retry)
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
	exchange->retry = retry;
	exchange->ids = json_incref(ids);
	ask(exchange, &err);
	hold_or_refuse(call, exchange, &err);
}

void handle_dead_retry(struct api_call *call)
{
	change(call, true);
}

void handle_dead_drop(struct api_call *call)
{
	change(call, false);
}
