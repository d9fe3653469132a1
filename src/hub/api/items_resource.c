/* Owns the calls about a task's items, /api/tasks/{name}/items: how many of a push are in, and pushing. Called by the dispatcher, the
 * server (pieces of a body) and the task's queue; the items' borders are found by item_split.c, what is in is known to Redis alone.
 *
 *   ASKING --how many are in--> TAKING <--batch is in-- SENDING
 *                                 |  \--some items came------^
 *                                 +--the body is whole, and all is in--> answered
 *   any --Redis or the queue refuses, a gap, an item that is none--> answered
 *
 * One batch is under way at a time; what comes meanwhile waits here up to PAUSE_BYTES, then the client is not read on. Nothing is
 * repeated by the hub: a batch of unknown fate ends the call, and who goes on from any number loses and doubles nothing. */
#include "hub/api/handlers.h"
#include "hub/api/node_plane.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include "base/log.h"
#include "base/text.h"
#include "proto/item_split.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	BATCH_ITEMS = 4096,
	BATCH_BYTES = 256 * 1024,
	PAUSE_BYTES = 256 * 1024,
	SLACK_BYTES = PAUSE_BYTES + 64 * 1024, /* a piece of the body is smaller than the rest of it */
};

struct push {
	struct http_request *request;
	struct hub *hub;
	char task_id[UUID_SIZE];
	char task_name[LIMIT_TASK_NAME + 1];
	char id[LIMIT_PUSH_ID + 1];
	struct item_split split;
	int64_t next;      /* number of the next item that comes out of the split */
	int64_t first;     /* number of the first one of the batch under way */
	int64_t known;     /* so many are in; -1: not asked yet */
	struct queue_op *op; /* a batch, or the first question, under way */
	struct queue *waited_on; /* whose link was never tried; NULL: not waiting for it */
	struct queue_ready ready;
	bool paused;
	bool whole;        /* the body */
	bool asks;         /* only how many are in, whatever the task's state */
	struct err broken; /* its code is 0 unless the next item is none */
	const char *items[BATCH_ITEMS]; /* of the batch that is being made */
	size_t lens[BATCH_ITEMS];
};

static void free_push(struct push *push)
{
	queue_op_abandon(push->op);
	if (push->waited_on)
		queue_unwait_ready(push->waited_on, &push->ready);
	item_split_done(&push->split);
	free(push);
}

static void on_gone(struct http_request *request)
{
	free_push(request->holder);
}

/* ---- answers: each frees the push ---- */

static void refuse(struct push *push, unsigned status, const char *code, const char *message)
{
	reply_error_counted(push->request, status, code, message, "items", push->known);
	free_push(push);
}

static void refuse_for_redis(struct push *push, const struct err *err)
{
	reply_push_err(push->request, err, push->known);
	free_push(push);
}

static void refuse_gap(struct push *push)
{
	char message[160];
	(void)snprintf(message, sizeof(message), "item %lld is the next one of this push, not %lld: go on from there",
		       (long long)push->known, (long long)push->first);
	refuse(push, HTTP_CONFLICT, "gap", message);
}

static void refuse_item(struct push *push)
{
	char message[ERR_TEXT_MAX + 64];
	bool big = push->broken.code == ERR_TOO_BIG;
	(void)snprintf(message, sizeof(message), "item %lld of this push: %s", (long long)push->next, push->broken.text);
	if (big)
		refuse(push, HTTP_CONTENT_TOO_LARGE, "too_large", message);
	else
		refuse(push, HTTP_BAD_REQUEST, "bad_request", message);
}

static void confirm(struct push *push)
{
	if (!push->asks)
		log_info(NULL, "task=%s push %s: %lld items are in", push->task_name, push->id, (long long)push->known);
	reply_json(push->request, HTTP_OK, json_pack("{s:s, s:I}", "push", push->id, "items", (json_int_t)push->known));
	free_push(push);
}

/* ---- to Redis ---- */

/* Whether the push lives on: each of these may answer it, and then it is freed. */
static bool step(struct push *push);

/* The body is read on where there is room for more. */
static void go_on(struct push *push)
{
	bool busy = push->op || push->waited_on;
	if (!push->paused || (busy && item_split_left(&push->split) >= PAUSE_BYTES))
		return;
	push->paused = false;
	http_go_on(push->request);
}

static void on_ready(void *context)
{
	struct push *push = context;
	push->waited_on = NULL;
	if (step(push))
		go_on(push);
}

static void on_sent(void *context, const struct resp_value *reply, const struct err *err)
{
	struct push *push = context;
	push->op = NULL;
	if (err) {
		refuse_for_redis(push, err);
		return;
	}
	bool good = reply->count == 3 && reply->elements[0].type == RESP_INTEGER && reply->elements[2].type == RESP_INTEGER;
	push->known = good ? reply->elements[0].integer : push->known;
	if (!good)
		refuse(push, HTTP_INTERNAL_ERROR, "internal", "Redis answered something unexpected");
	else if (reply->elements[2].integer)
		refuse_gap(push);
	else if (step(push))
		go_on(push);
}

/* The queue of a task that takes items; NULL when the push was refused. */
static struct queue *queue_of(struct push *push)
{
	struct queue *queue = broker_queue(push->hub->broker, push->task_id);
	if (queue && (push->asks || !task_has_ended(queue_task(queue))))
		return queue;
	char message[LIMIT_TASK_NAME + 64];
	(void)snprintf(message, sizeof(message), "task \"%s\" is completed or deleted: it takes no more items", push->task_name);
	refuse(push, HTTP_CONFLICT, "bad_state", message);
	return NULL;
}

/* The items that make_batch put together; none: only asks how many are in. */
static bool send_batch(struct push *push, size_t count)
{
	struct queue *queue = queue_of(push);
	struct err err = {0};
	if (!queue)
		return false;
	push->ready = (struct queue_ready){.context = push, .on_ready = on_ready};
	if (push->known < 0 && queue_wait_ready(queue, &push->ready)) {
		push->waited_on = queue;
		return true;
	}
	const struct push_batch batch = {
		.push = push->id, .first = push->next, .items = push->items, .lens = push->lens, .count = count};
	push->first = push->next;
	push->op = queue_push(queue, &batch, on_sent, push, &err);
	if (!push->op) {
		refuse_for_redis(push, &err);
		return false;
	}
	push->next += (int64_t)count;
	item_split_drop(&push->split);
	return true;
}

/* Takes items out of what has come; those that are in already are passed over. */
static size_t make_batch(struct push *push)
{
	size_t count = 0;
	size_t bytes = 0;
	while (count < BATCH_ITEMS && bytes < BATCH_BYTES && !push->broken.code) {
		const char *item = NULL;
		size_t len = 0;
		if (item_split_next(&push->split, &item, &len, &push->broken) || !item)
			break;
		if (push->next < push->known) { /* then none is in the batch yet */
			push->next++;
			continue;
		}
		push->items[count] = item;
		push->lens[count++] = len;
		bytes += len;
	}
	return count;
}

static bool step(struct push *push)
{
	if (push->op || push->waited_on)
		return true;
	if (push->known < 0)
		return send_batch(push, 0);
	size_t count = make_batch(push);
	if (count > 0)
		return send_batch(push, count);
	if (push->broken.code) {
		refuse_item(push);
		return false;
	}
	if (push->whole) {
		confirm(push);
		return false;
	}
	item_split_drop(&push->split); /* what was passed over */
	return true;
}

/* ---- the body ---- */

static void on_piece(struct http_request *request, const char *bytes, size_t len)
{
	struct push *push = request->holder;
	if (item_split_feed(&push->split, bytes, len)) {
		refuse(push, HTTP_INTERNAL_ERROR, "internal", "out of memory");
		return;
	}
	if (!step(push))
		return;
	push->paused = (push->op || push->waited_on) && item_split_left(&push->split) >= PAUSE_BYTES;
	if (push->paused)
		http_pause(request);
}

static void on_end(struct http_request *request)
{
	struct push *push = request->holder;
	push->whole = true;
	item_split_end(&push->split);
	if (step(push))
		http_hold(request);
}

/* ---- the calls ---- */

static bool is_push_id(const char *text)
{
	static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len = strlen(text);
	return len > 0 && len <= LIMIT_PUSH_ID && strspn(text, ALLOWED) == len;
}

static bool parse_end(const struct http_request *request, enum item_end *end)
{
	static const struct {
		const char *name;
		enum item_end end;
	} ENDS[] = {{"newline", ITEM_END_NEWLINE}, {"nul", ITEM_END_NUL}, {"none", ITEM_END_NONE}};
	static const char RESP_TYPE[] = "application/x-resp";
	const char *name = http_query(request, "end");
	const char *type = request->content_type;
	*end = ITEM_END_NEWLINE;
	if (type && strncasecmp(type, RESP_TYPE, sizeof(RESP_TYPE) - 1) == 0) {
		*end = ITEM_END_RESP;
		return !name;
	}
	for (size_t i = 0; name && i < sizeof(ENDS) / sizeof(ENDS[0]); i++) {
		if (strcmp(name, ENDS[i].name) == 0) {
			*end = ENDS[i].end;
			return true;
		}
	}
	return !name;
}

/* The task, whose items the hub can reach; NULL when the call was refused. */
static const struct task *find_task(struct api_call *call)
{
	const struct task *task = tasks_find(call->hub->tasks, call->param);
	struct err err = {0};
	if (!task)
		(void)err_set(&err, ERR_NOT_FOUND, "there is no task named \"%.128s\"", call->param);
	else if (task->spec.delivery != DELIVERY_LEASED)
		(void)err_set(&err, ERR_STATE, "task \"%s\" is direct: push to its queue in Redis yourself", task->spec.name);
	if (err.code)
		reply_err(call->request, &err);
	return err.code ? NULL : task;
}

static struct push *new_push(struct api_call *call, const struct task *task, const char *id)
{
	struct push *push = calloc(1, sizeof(*push));
	if (!push) {
		reply_json(call->request, HTTP_OK, NULL);
		return NULL;
	}
	push->request = call->request;
	push->hub = call->hub;
	push->known = -1;
	text_copy(push->task_id, sizeof(push->task_id), task->id);
	text_copy(push->task_name, sizeof(push->task_name), task->spec.name);
	if (id)
		text_copy(push->id, sizeof(push->id), id);
	else
		random_uuid(push->id);
	return push;
}

void handle_items_push(struct api_call *call)
{
	const char *id = http_query(call->request, "push");
	int64_t from = node_plane_number(call->request, "from");
	enum item_end end;
	if ((id && !is_push_id(id)) || from == -2 || from > LIMIT_NUMBER || !parse_end(call->request, &end)) {
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request",
			    "push must be 1 to 64 letters, digits, '_' and '-'; from a number; end newline, nul or none, and absent with RESP");
		return;
	}
	const struct task *task = find_task(call);
	struct push *push = task ? new_push(call, task, id) : NULL;
	if (!push)
		return;
	push->next = from < 0 ? 0 : from;
	item_split_init(&push->split, end, LIMIT_ITEM, SLACK_BYTES);
	call->request->holder = push;
	call->request->on_gone = on_gone;
	call->request->on_piece = on_piece;
	call->request->on_end = on_end;
	(void)step(push);
}

/* How many are in is asked for by a push without items, whose body has ended before it began. */
void handle_items_count(struct api_call *call)
{
	const char *id = http_query(call->request, "push");
	if (!id || !is_push_id(id)) {
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request", "push must be 1 to 64 letters, digits, '_' and '-'");
		return;
	}
	const struct task *task = find_task(call);
	struct err err = {0};
	if (task && !broker_reopen(call->hub->broker, task, &err)) {
		reply_err(call->request, &err);
		return;
	}
	struct push *push = task ? new_push(call, task, id) : NULL;
	if (!push)
		return;
	push->asks = true;
	item_split_init(&push->split, ITEM_END_NEWLINE, 0, 0);
	call->request->holder = push;
	call->request->on_gone = on_gone;
	on_end(call->request);
}
