/* Owns a push of items. Called by push, run and attach; never holds more than one piece in memory. */
#include "ctl/items_push.h"

#include "base/cleanup.h"
#include "base/random.h"
#include "ctl/hub_call.h"
#include "net/resp.h"

#include <stdlib.h>
#include <string.h>

enum {
	PIECE_BYTES = 1024 * 1024, /* a piece is sent from there on; one item may be larger */
	PIECE_ITEMS = 10 * 1000,
	PIECE_MAX = PIECE_BYTES + ITEM_MAX + 1024,
	FULL_PAUSE_MS = 2000,
	SEND_TIMEOUT_MS = 5 * 60 * 1000, /* of one piece, over whatever line */
};

static const char NEEDS[] = "pushing items";

struct items_push {
	struct ctl *ctl;
	struct items_push_options options;
	uv_timer_t timer;       /* begins, and waits while Redis is full */
	struct buf piece;
	int64_t in_piece;
	int64_t confirmed;      /* the hub has so many */
	bool ended;             /* the source has nothing more */
	bool done;
	bool said_full;
	struct hub_call *call;  /* SENDING */
};

static void finish(struct items_push *push, const struct err *err)
{
	push->done = true;
	(void)uv_timer_stop(&push->timer);
	push->options.on_done(push->options.context, err);
}

/* ---- SENDING ---- */

static void gather(struct items_push *push);
static void send_piece(struct items_push *push);

static void on_timer(uv_timer_t *timer)
{
	struct items_push *push = timer->data;
	if (push->in_piece)
		send_piece(push);
	else
		gather(push);
}

static bool wait_for_room(struct items_push *push, const struct hub_answer *answer)
{
	if (push->options.no_wait || strcmp(answer->code, "redis_full") != 0)
		return false;
	if (!push->said_full)
		ctl_note(push->ctl, "Redis is full: waiting until it takes items again (%lld are in)",
			 (long long)push->confirmed);
	push->said_full = true;
	(void)uv_timer_start(&push->timer, on_timer, FULL_PAUSE_MS, 0);
	return true;
}

static void on_answer(void *context, const struct hub_answer *answer)
{
	struct items_push *push = context;
	struct err err;
	int64_t known = json_integer_value(json_object_get(answer->json, "items"));
	push->call = NULL;
	if (known > push->confirmed)
		push->confirmed = known;
	if (answer->err) {
		if (!wait_for_room(push, answer))
			finish(push, answer->err);
		return;
	}
	if (push->said_full)
		ctl_note(push->ctl, "Redis takes items again");
	push->said_full = false;
	int64_t expected = push->options.from + push->in_piece;
	if (known != expected) {
		(void)err_set(&err, ERR_STATE,
			      "the hub has %lld items of the push \"%s\" and should have %lld: does another one use the same id?",
			      (long long)known, push->options.id, (long long)expected);
		finish(push, &err);
		return;
	}
	push->options.from = expected;
	push->in_piece = 0;
	buf_clear(&push->piece);
	if (push->options.on_progress)
		push->options.on_progress(push->options.context, known);
	if (!push->done)
		gather(push);
}

static void send_piece(struct items_push *push)
{
	struct err err;
	char after[PUSH_ID_SIZE + 64];
	(void)snprintf(after, sizeof(after), "/items?push=%s&from=%lld", push->options.id, (long long)push->options.from);
	AUTO_FREE char *path = hub_path("/api/tasks/", push->options.task, after);
	const struct hub_request request = {
		.method = "POST",
		.path = path,
		.body = push->piece.data,
		.body_len = push->piece.len,
		.content_type = "application/x-resp",
		.timeout_ms = SEND_TIMEOUT_MS,
		.patient = !push->options.no_wait,
		.needs = NEEDS,
	};
	if (!path)
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else
		push->call = hub_call_start(push->ctl, &request, on_answer, push, &err);
	if (!push->call)
		finish(push, &err);
}

/* ---- GATHERING ---- */

static int add(struct items_push *push, const struct item *item, struct err *err)
{
	long long number = push->options.from + push->in_piece + 1;
	if (resp_add_bulk(&push->piece, item->bytes, item->len))
		return err_set(err, ERR_TOO_BIG, "item number %lld is larger than %d MiB", number, ITEM_MAX / 1024 / 1024);
	push->in_piece++;
	return 0;
}

static void gather(struct items_push *push)
{
	struct err err;
	int rc = 0;
	enum item_got got = push->ended ? ITEM_NONE : ITEM_READY;
	while (!rc && got == ITEM_READY && push->piece.len < PIECE_BYTES && push->in_piece < PIECE_ITEMS) {
		struct item item;
		rc = push->options.next(push->options.context, &item, &got, &err);
		if (!rc && got == ITEM_READY)
			rc = add(push, &item, &err);
	}
	push->ended = push->ended || got == ITEM_NONE;
	if (rc)
		finish(push, &err);
	else if (push->in_piece)
		send_piece(push);
	else if (push->ended)
		finish(push, NULL);
}

void items_push_ready(struct items_push *push)
{
	if (!push->done && !push->call && !push->in_piece)
		gather(push);
}

/* ---- beginning and ending ---- */

struct items_push *items_push_new(struct ctl *ctl, const struct items_push_options *options, struct err *err)
{
	struct items_push *push = calloc(1, sizeof(*push));
	if (!push || uv_timer_init(&ctl->loop, &push->timer)) {
		free(push);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	push->ctl = ctl;
	push->options = *options;
	push->confirmed = options->from;
	push->timer.data = push;
	buf_init(&push->piece, PIECE_MAX);
	(void)uv_timer_start(&push->timer, on_timer, 0, 0);
	return push;
}

static void on_closed(uv_handle_t *handle)
{
	struct items_push *push = handle->data;
	buf_done(&push->piece);
	free(push);
}

void items_push_free(struct items_push *push)
{
	if (!push)
		return;
	hub_call_cancel(steal(push->call));
	push->done = true;
	uv_close((uv_handle_t *)&push->timer, on_closed);
}

int64_t items_push_count(const struct items_push *push)
{
	return push->confirmed;
}

int items_push_ask(struct ctl *ctl, const char *task, const char *id, int64_t *items, struct err *err)
{
	AUTO_JSON json_t *answer = NULL;
	char after[PUSH_ID_SIZE + 32];
	(void)snprintf(after, sizeof(after), "/items?push=%s", id);
	AUTO_FREE char *path = hub_path("/api/tasks/", task, after);
	int rc = path ? hub_get(ctl, path, NEEDS, &answer, err) : err_set(err, ERR_NOMEM, "out of memory");
	*items = json_integer_value(json_object_get(answer, "items"));
	return rc;
}

void items_push_draw_id(char id[PUSH_ID_SIZE])
{
	static const char LETTERS[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32 that nobody mistakes for each other */
	enum { DRAWN = 12 };
	unsigned char drawn[DRAWN];
	random_bytes(drawn, sizeof(drawn));
	for (size_t i = 0; i < DRAWN; i++)
		id[i] = LETTERS[drawn[i] % 32];
	id[DRAWN] = '\0';
}

bool items_push_id_is_valid(const char *id)
{
	static const char ALLOWED[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	size_t len = strlen(id);
	return len > 0 && len < PUSH_ID_SIZE && strspn(id, ALLOWED) == len;
}
