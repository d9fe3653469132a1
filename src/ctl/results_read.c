/* Owns the reading of a task's results. Called by results, run and attach; never decides what may be removed. */
#include "ctl/results_read.h"

#include "base/cleanup.h"
#include "ctl/hub_call.h"
#include "net/resp.h"

#include <stdlib.h>
#include <string.h>

enum {
	PAGE_RESULTS = 1000,
	PAGE_RESULTS_MAX = 10 * 1000,
	PAGE_BYTES = 2 * 1024 * 1024,
	ANSWER_MAX = 96 * 1024 * 1024, /* one result at least fits, whatever its size */
	ANSWER_TIMEOUT_S = 60,         /* beyond the time that the hub holds the call */
	HEAD = 4,
};

static const char NEEDS[] = "reading results";

static const struct resp_limits LIMITS = {
	.max_depth = 2,
	.max_elements = PAGE_RESULTS_MAX,
	.max_values = PAGE_RESULTS_MAX + 16,
	.max_bulk = ANSWER_MAX,
	.max_line = 1024,
	.max_message = ANSWER_MAX,
	.max_pipelined = 1024,
};

struct results_read {
	struct ctl *ctl;
	struct results_read_options options;
	struct hub_call *page, *take;
	int64_t wanted, taken;  /* what may be removed, and what is */
	bool held;              /* the page's call waits at the hub for results */
	bool failed, freed, in_callback;
};

static void fail(struct results_read *read, const struct err *err)
{
	read->failed = true;
	read->options.on_failed(read->options.context, err);
}

static bool is_page(const struct resp_value *value)
{
	if (value->type != RESP_ARRAY || value->count != HEAD + 1 || value->elements[HEAD].type != RESP_ARRAY)
		return false;
	for (size_t i = 0; i < HEAD; i++) {
		if (value->elements[i].type != RESP_INTEGER)
			return false;
	}
	const struct resp_value *results = &value->elements[HEAD];
	for (size_t i = 0; i < results->count; i++) {
		if (results->elements[i].type != RESP_BULK)
			return false;
	}
	return true;
}

static void give_page(struct results_read *read, const struct resp_value *value)
{
	const struct resp_value *results = &value->elements[HEAD];
	struct results_page page = {
		.first = value->elements[0].integer,
		.next = value->elements[1].integer,
		.total = value->elements[2].integer,
		.complete = value->elements[3].integer != 0,
		.count = results->count,
	};
	read->options.cursor = page.next;
	for (size_t i = 0; i < results->count && !read->freed; i++)
		read->options.on_result(read->options.context, page.first + (int64_t)i, results->elements[i].text,
					results->elements[i].len);
	if (!read->freed)
		read->options.on_page(read->options.context, &page);
}

static void take_page(struct results_read *read, const struct hub_answer *answer)
{
	struct err err;
	const struct resp_value *value = NULL;
	struct resp_reader *reader = resp_reader_new(&LIMITS);
	int rc = reader ? resp_reader_feed(reader, answer->body, answer->body_len, &err) : err_set(&err, ERR_NOMEM, "out of memory");
	if (!rc)
		rc = resp_reader_next(reader, &value, &err);
	if (!rc && (!value || !is_page(value)))
		rc = err_set(&err, ERR_PROTOCOL, "the hub's answer to a call for results is none that this gridctl knows");
	if (rc || !value)
		fail(read, &err);
	else if (value)
		give_page(read, value);
	resp_reader_free(reader);
}

static void free_now(struct results_read *read)
{
	if (read->freed && !read->in_callback)
		free(read);
}

static void on_page(void *context, const struct hub_answer *answer)
{
	struct results_read *read = context;
	read->page = NULL;
	read->in_callback = true;
	if (answer->err)
		fail(read, answer->err);
	else
		take_page(read, answer);
	read->in_callback = false;
	free_now(read);
}

void results_read_more(struct results_read *read, bool wait)
{
	struct err err;
	char after[256];
	const struct results_read_options *options = &read->options;
	int64_t wait_s = wait ? options->wait_s : 0;
	if (read->page || read->failed || read->freed)
		return;
	(void)snprintf(after, sizeof(after), "/results?cursor=%lld&max=%lld&bytes=%d&wait=%lld&writer=%s&format=resp",
		       (long long)options->cursor, (long long)(options->max ? options->max : PAGE_RESULTS), PAGE_BYTES,
		       (long long)wait_s, options->writer_right ? "right" : "left");
	AUTO_FREE char *path = hub_path("/api/tasks/", options->task, after);
	const struct hub_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = (wait_s + ANSWER_TIMEOUT_S) * 1000,
		.max_answer = ANSWER_MAX,
		.raw = true,
		.patient = true,
		.needs = NEEDS,
	};
	read->held = wait;
	if (!path)
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else
		read->page = hub_call_start(read->ctl, &request, on_page, read, &err);
	if (!read->page)
		fail(read, &err);
}

bool results_read_hurry(struct results_read *read)
{
	if (read->failed || read->freed || read->in_callback || (read->page && !read->held))
		return false;
	hub_call_cancel(steal(read->page));
	results_read_more(read, false);
	return true;
}

/* ---- removing ---- */

static void begin_take(struct results_read *read);

static void on_taken(void *context, const struct hub_answer *answer)
{
	struct results_read *read = context;
	read->take = NULL;
	int64_t taken = json_integer_value(json_object_get(answer->json, "taken"));
	read->in_callback = true;
	if (answer->err) {
		fail(read, answer->err);
	} else {
		read->taken = taken > read->taken ? taken : read->wanted;
		begin_take(read);
	}
	read->in_callback = false;
	free_now(read);
}

static void begin_take(struct results_read *read)
{
	struct err err;
	char body[64];
	if (read->take || read->failed || read->freed || read->taken >= read->wanted)
		return;
	int len = snprintf(body, sizeof(body), "{\"upto\":%lld}", (long long)read->wanted);
	AUTO_FREE char *path = hub_path("/api/tasks/", read->options.task,
					read->options.writer_right ? "/results/take?writer=right" : "/results/take");
	const struct hub_request request = {
		.method = "POST",
		.path = path,
		.body = body,
		.body_len = (size_t)len,
		.patient = true,
		.needs = NEEDS,
	};
	if (!path)
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else
		read->take = hub_call_start(read->ctl, &request, on_taken, read, &err);
	if (!read->take)
		fail(read, &err);
}

void results_read_take(struct results_read *read, int64_t upto)
{
	if (upto > read->wanted)
		read->wanted = upto;
	begin_take(read);
}

bool results_read_is_taken(const struct results_read *read)
{
	return read->taken >= read->wanted;
}

/* ---- beginning and ending ---- */

struct results_read *results_read_new(struct ctl *ctl, const struct results_read_options *options, struct err *err)
{
	struct results_read *read = calloc(1, sizeof(*read));
	if (!read) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	read->ctl = ctl;
	read->options = *options;
	return read;
}

void results_read_free(struct results_read *read)
{
	if (!read)
		return;
	hub_call_cancel(steal(read->page));
	hub_call_cancel(steal(read->take));
	read->freed = true;
	free_now(read);
}
