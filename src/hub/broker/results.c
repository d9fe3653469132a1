/* Owns the reading and removing of tasks' results. Called by the broker; never writes a result, and knows of a task only where its
 * results lie and whether more can come. A reader exists while somebody asks for its task's results, and a while longer. */
#include "hub/broker/results.h"

#include "base/clock.h"
#include "hub/broker/scripts.h"
#include "proto/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	IDLE_MS = 10 * 1000,       /* so long its link is kept when nobody asks any more */
	TAKE_AT_ONCE = 100 * 1000, /* results removed in one step */
	KEY_SIZE = LIMIT_QUEUE_NAME + 16,
};

struct results_reader {
	struct results *results;
	const struct task *task;
	struct redis_link *link;
	struct results_call *calls; /* not answered yet */
	bool looking;               /* Redis is asked how many there are */
	bool look_again;            /* something has happened meanwhile */
	int64_t used_ms;            /* monotonic */
	struct results_reader *prev, *next;
};

struct results {
	struct redis_links *links;
	struct results_reader *readers;
};

static void ask(struct results_call *call);
static void look(struct results_reader *reader);

/* ---- answering ---- */

static void answer(struct results_call *call, const struct results_page *page, const struct err *err)
{
	struct results_reader *reader = call->reader;
	DL_DELETE(reader->calls, call);
	reader->used_ms = clock_monotonic_ms();
	call->reader = NULL;
	call->answer(call, page, err);
}

static int64_t number(const struct resp_value *reply, size_t i)
{
	bool there = reply->type == RESP_ARRAY && i < reply->count && reply->elements[i].type == RESP_INTEGER;
	return there ? reply->elements[i].integer : 0;
}

/* Nothing of the task is out any more, so nothing more is written. What a direct task's workers do the hub does not see. */
static bool has_ended(const struct task *task)
{
	return task_has_ended(task) && (task->settled || task->spec.delivery != DELIVERY_LEASED);
}

/* ---- asking Redis ---- */

static void call_init(struct script_call *script, const struct results_reader *reader, enum results_writer writer,
		      char taken[KEY_SIZE])
{
	const char *output = reader->task->spec.output_queue;
	(void)snprintf(taken, KEY_SIZE, "%s:idm:taken", output);
	script_call_init(script);
	script_call_add_text(script, output);
	script_call_add_text(script, taken);
	script_call_add_text(script, writer == RESULTS_WRITER_RIGHT ? "right" : "left");
}

static int send_script(struct script_call *script, const struct results_reader *reader, enum broker_script which,
		redis_on_reply *on_reply, void *context, struct err *err)
{
	int rc = script_call_send(script, redis_link_client(reader->link), which, 2, on_reply, context, err);
	script_call_done(script);
	return rc;
}

static void on_page(void *context, const struct resp_value *reply, const struct err *err)
{
	struct results_call *call = context;
	call->asked = false;
	if (err) {
		answer(call, NULL, err);
		return;
	}
	const struct resp_value *list = reply->type == RESP_ARRAY && reply->count == 4 ? &reply->elements[3] : NULL;
	struct results_page page = {.total = number(reply, 1), .first = number(reply, 2), .results = list};
	page.next = page.first + (list ? (int64_t)list->count : 0);
	page.complete = call->ended && page.next == page.total;
	call->waiting = page.next == page.first && call->cursor <= page.total && !call->ended &&
			call->deadline_ms > clock_monotonic_ms();
	if (call->waiting)
		call->cursor = page.first; /* those before are gone */
	else
		answer(call, &page, NULL);
}

static void on_taken(void *context, const struct resp_value *reply, const struct err *err)
{
	struct results_call *call = context;
	call->asked = false;
	const struct results_page page = {.taken = err ? 0 : number(reply, 0)};
	if (!err && number(reply, 1))
		ask(call);
	else
		answer(call, err ? NULL : &page, err);
}

static int try_to_ask(struct results_call *call, struct err *err)
{
	const struct results_reader *reader = call->reader;
	enum broker_script which = call->take ? SCRIPT_RESULTS_TAKE : SCRIPT_RESULTS_READ;
	struct script_call script;
	char taken[KEY_SIZE];
	call_init(&script, reader, call->writer, taken);
	script_call_add_number(&script, call->cursor);
	script_call_add_number(&script, call->take ? TAKE_AT_ONCE : call->max);
	if (!call->take)
		script_call_add_number(&script, call->bytes);
	call->waiting = false;
	call->asked = true;
	call->ended = has_ended(reader->task);
	return send_script(&script, reader, which, call->take ? on_taken : on_page, call, err);
}

static void ask(struct results_call *call)
{
	struct err err = {0};
	if (try_to_ask(call, &err))
		answer(call, NULL, &err);
}

/* ---- who waits ---- */

static void on_looked(void *context, const struct resp_value *reply, const struct err *err)
{
	struct results_reader *reader = context;
	struct results_call *call;
	struct results_call *next;
	int64_t total = err ? 0 : number(reply, 1);
	reader->looking = false;
	if (err)
		return; /* the link tells, or the deadline */
	DL_FOREACH_SAFE(reader->calls, call, next) {
		if (call->waiting && call->cursor != total)
			ask(call);
	}
	if (reader->look_again)
		look(reader);
}

static void look(struct results_reader *reader)
{
	struct script_call script;
	char taken[KEY_SIZE];
	struct err err = {0};
	const struct results_call *call;
	DL_SEARCH_SCALAR(reader->calls, call, waiting, true);
	reader->look_again = reader->looking;
	if (!call || reader->looking || !redis_link_is_up(reader->link))
		return;
	call_init(&script, reader, RESULTS_WRITER_LEFT, taken);
	script_call_add_number(&script, 0);
	script_call_add_number(&script, 0);
	script_call_add_number(&script, 0);
	reader->looking = send_script(&script, reader, SCRIPT_RESULTS_READ, on_looked, reader, &err) == 0;
}

/* All that wait ask once more: they are answered now, or wait on. */
static void ask_waiting(struct results_reader *reader)
{
	struct results_call *call;
	struct results_call *next;
	DL_FOREACH_SAFE(reader->calls, call, next) {
		if (call->waiting)
			ask(call);
	}
}

/* ---- readers ---- */

static struct results_reader *find(const struct results *results, const struct task *task)
{
	struct results_reader *reader;
	DL_SEARCH_SCALAR(results->readers, reader, task, task);
	return reader;
}

static struct results_reader *open_reader(struct results *results, const struct task *task, const char *url, struct err *err)
{
	struct results_reader *reader = find(results, task);
	if (reader)
		return reader;
	reader = calloc(1, sizeof(*reader));
	if (!reader) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*reader = (struct results_reader){.results = results, .task = task, .link = redis_link_take(results->links, url, err)};
	if (!reader->link) {
		free(reader);
		return NULL;
	}
	reader->used_ms = clock_monotonic_ms();
	DL_APPEND(results->readers, reader);
	return reader;
}

static void close_reader(struct results_reader *reader)
{
	struct err err = {0};
	(void)err_set(&err, ERR_CANCELLED, "the hub ends, or has forgotten the task");
	DL_DELETE(reader->results->readers, reader);
	redis_client_forget(redis_link_client(reader->link), reader);
	while (reader->calls) {
		struct results_call *call = reader->calls;
		redis_client_forget(redis_link_client(reader->link), call);
		answer(call, NULL, &err);
	}
	redis_link_release(reader->link);
	free(reader);
}

bool results_ask(struct results *results, const struct task *task, const char *url, struct results_call *call, struct err *err)
{
	struct results_reader *reader = open_reader(results, task, url, err);
	if (!reader)
		return false;
	bool new = redis_link_is_new(reader->link);
	if (!new && !redis_link_is_up(reader->link)) {
		(void)err_set(err, ERR_UNREACHABLE, "%s", redis_link_trouble(reader->link));
		return false;
	}
	call->reader = reader;
	call->asked = call->waiting = false;
	DL_APPEND(reader->calls, call);
	if (new || try_to_ask(call, err) == 0)
		return true;
	DL_DELETE(reader->calls, call);
	call->reader = NULL;
	return false;
}

void results_abandon(struct results_call *call)
{
	struct results_reader *reader = call->reader;
	if (!reader)
		return;
	if (call->asked)
		redis_client_forget(redis_link_client(reader->link), call);
	DL_DELETE(reader->calls, call);
	call->reader = NULL;
}

/* ---- what happens ---- */

void results_came(struct results *results, const struct task *task)
{
	struct results_reader *reader = results->readers ? find(results, task) : NULL;
	if (reader)
		look(reader);
}

void results_task_ended(struct results *results, const struct task *task)
{
	struct results_reader *reader = find(results, task);
	if (reader && redis_link_is_up(reader->link))
		ask_waiting(reader);
}

void results_task_forgotten(struct results *results, const struct task *task)
{
	struct results_reader *reader = find(results, task);
	if (reader)
		close_reader(reader);
}

/* What Redis was asked was told already; the others wait for results, or for this. */
static void link_changed(struct results_reader *reader)
{
	struct err err = {0};
	struct results_call *call;
	struct results_call *next;
	bool up = redis_link_is_up(reader->link);
	(void)err_set(&err, ERR_UNREACHABLE, "%s", redis_link_trouble(reader->link));
	DL_FOREACH_SAFE(reader->calls, call, next) {
		if (!call->asked && up)
			ask(call);
		else if (!call->asked)
			answer(call, NULL, &err);
	}
}

void results_link_changed(struct results *results, const struct redis_link *link)
{
	struct results_reader *reader;
	DL_FOREACH(results->readers, reader) {
		if (reader->link == link)
			link_changed(reader);
	}
}

static void end_overdue(struct results_reader *reader, int64_t now_ms)
{
	struct results_call *call;
	struct results_call *next;
	DL_FOREACH_SAFE(reader->calls, call, next) {
		if (call->waiting && now_ms >= call->deadline_ms)
			ask(call); /* once more, and not to wait again */
	}
}

void results_tick(struct results *results, int64_t now_ms)
{
	struct results_reader *reader;
	struct results_reader *next;
	DL_FOREACH_SAFE(results->readers, reader, next) {
		if (reader->calls) {
			end_overdue(reader, now_ms);
			look(reader);
		} else if (!reader->looking && now_ms - reader->used_ms >= IDLE_MS) {
			close_reader(reader);
		}
	}
}

/* ---- construction ---- */

struct results *results_new(struct redis_links *links)
{
	struct results *results = calloc(1, sizeof(*results));
	if (results)
		results->links = links;
	return results;
}

void results_free(struct results *results)
{
	while (results && results->readers)
		close_reader(results->readers);
	free(results);
}
