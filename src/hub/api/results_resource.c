/* Owns the calls about a task's results, /api/tasks/{name}/results: pages of them, and the removal of what was read. Called by the
 * dispatcher; the broker reads them, and the request is held meanwhile. */
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "hub/api/handlers.h"
#include "hub/api/node_plane.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_DEFAULT = 1000, BYTES_DEFAULT = 1024 * 1024, PAGE_MAX = 1024 * 1024 * 1024 };

enum format { FORMAT_JSON, FORMAT_LINES, FORMAT_NUL, FORMAT_RESP };

struct results_exchange {
	struct http_request *request;
	enum format format;
	struct results_call call;
};

static void on_gone(struct http_request *request)
{
	struct results_exchange *exchange = request->holder;
	results_abandon(&exchange->call);
	free(exchange);
}

static size_t count_of(const struct results_page *page)
{
	return page->results ? page->results->count : 0;
}

/* ---- forms of a page ---- */

/* Text as a string; what is not UTF-8, or holds NUL, as {"base64"}. */
static json_t *result_json(const struct resp_value *result)
{
	json_t *text = memchr(result->text, '\0', result->len) ? NULL : json_stringn(result->text, result->len);
	if (text)
		return text;
	struct buf encoded;
	buf_init(&encoded, result->len / 3 * 4 + 4);
	int rc = base64_encode(&encoded, result->text, result->len);
	json_t *object = rc ? NULL : json_pack("{s:s}", "base64", buf_text(&encoded));
	buf_done(&encoded);
	return object;
}

static void reply_page_json(struct http_request *request, const struct results_page *page)
{
	AUTO_JSON json_t *results = json_array();
	for (size_t i = 0; results && i < count_of(page); i++) {
		if (json_array_append_new(results, result_json(&page->results->elements[i]))) {
			reply_json(request, HTTP_OK, NULL);
			return;
		}
	}
	reply_json(request, HTTP_OK,
		   json_pack("{s:I, s:I, s:I, s:b, s:O}", "cursor", (json_int_t)page->first, "next", (json_int_t)page->next, "total",
			     (json_int_t)page->total, "complete", page->complete, "results", results));
}

static int form_resp(const struct results_page *page, struct buf *body)
{
	int rc = resp_add_array(body, 5);
	const int64_t numbers[] = {page->first, page->next, page->total, page->complete};
	for (size_t i = 0; !rc && i < sizeof(numbers) / sizeof(numbers[0]); i++)
		rc = resp_add_integer(body, numbers[i]);
	if (!rc)
		rc = resp_add_array(body, count_of(page));
	for (size_t i = 0; !rc && i < count_of(page); i++)
		rc = resp_add_bulk(body, page->results->elements[i].text, page->results->elements[i].len);
	return rc;
}

static int form_text(const struct results_page *page, char end, struct buf *body)
{
	int rc = buf_add(body, "", 0);
	for (size_t i = 0; !rc && i < count_of(page); i++) {
		rc = buf_add(body, page->results->elements[i].text, page->results->elements[i].len);
		if (!rc)
			rc = buf_add(body, &end, 1);
	}
	return rc;
}

static void reply_page_bytes(struct http_request *request, const struct results_page *page, enum format format)
{
	const char *type = format == FORMAT_RESP    ? "application/x-resp"
			   : format == FORMAT_LINES ? "text/plain; charset=utf-8"
						    : "application/octet-stream";
	char numbers[3][24];
	(void)snprintf(numbers[0], sizeof(numbers[0]), "%lld", (long long)page->first);
	(void)snprintf(numbers[1], sizeof(numbers[1]), "%lld", (long long)page->next);
	(void)snprintf(numbers[2], sizeof(numbers[2]), "%lld", (long long)page->total);
	const struct http_header headers[] = {{"X-Idm-First", numbers[0]},
					      {"X-Idm-Next", numbers[1]},
					      {"X-Idm-Total", numbers[2]},
					      {"X-Idm-Complete", page->complete ? "1" : "0"}};
	struct buf body;
	buf_init(&body, PAGE_MAX);
	int rc = format == FORMAT_RESP ? form_resp(page, &body) : form_text(page, format == FORMAT_NUL ? '\0' : '\n', &body);
	if (rc)
		reply_json(request, HTTP_OK, NULL);
	else
		reply_bytes_with(request, type, &body, headers, sizeof(headers) / sizeof(headers[0]));
	buf_done(&body);
}

/* ---- answers ---- */

static void reply_trouble(struct http_request *request, const struct err *err)
{
	if (err->code == ERR_STATE || err->code == ERR_NOT_FOUND)
		reply_err(request, err);
	else
		reply_redis_err(request, err);
}

static void on_answer(struct results_call *call, const struct results_page *page, const struct err *err)
{
	struct results_exchange *exchange = call->context;
	if (err)
		reply_redis_err(exchange->request, err);
	else if (call->take)
		reply_json(exchange->request, HTTP_OK, json_pack("{s:I}", "taken", (json_int_t)page->taken));
	else if (exchange->format == FORMAT_JSON)
		reply_page_json(exchange->request, page);
	else
		reply_page_bytes(exchange->request, page, exchange->format);
	free(exchange);
}

static void begin(struct api_call *call, const struct results_exchange *wanted)
{
	struct http_request *request = call->request;
	const struct task *task = tasks_find(call->hub->tasks, call->param);
	struct err err = {0};
	if (!task) {
		(void)err_set(&err, ERR_NOT_FOUND, "there is no task named \"%.128s\"", call->param);
		reply_err(request, &err);
		return;
	}
	struct results_exchange *exchange = malloc(sizeof(*exchange));
	if (!exchange) {
		reply_json(request, HTTP_OK, NULL);
		return;
	}
	*exchange = *wanted;
	exchange->request = request;
	exchange->call.context = exchange;
	exchange->call.answer = on_answer;
	if (!broker_ask_results(call->hub->broker, task, &exchange->call, &err)) {
		free(exchange);
		reply_trouble(request, &err);
		return;
	}
	request->holder = exchange;
	request->on_gone = on_gone;
	http_hold(request);
}

/* ---- the calls ---- */

static bool parse_format(const char *name, enum format *format)
{
	static const char *const NAMES[] = {
		[FORMAT_JSON] = "json", [FORMAT_LINES] = "lines", [FORMAT_NUL] = "nul", [FORMAT_RESP] = "resp"};
	*format = FORMAT_JSON;
	for (size_t i = 0; name && i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (strcmp(name, NAMES[i]) == 0) {
			*format = (enum format)i;
			return true;
		}
	}
	return !name;
}

static bool parse_writer(const char *name, enum results_writer *writer)
{
	bool right = name && strcmp(name, "right") == 0;
	*writer = right ? RESULTS_WRITER_RIGHT : RESULTS_WRITER_LEFT;
	return !name || right || strcmp(name, "left") == 0;
}

/* A number of the query within its limits; `absent` where it is not there. */
static bool read_number(const struct http_request *request, const char *name, int64_t least, int64_t most, int64_t absent,
			int64_t *into)
{
	int64_t number = node_plane_number(request, name);
	*into = number == -1 ? absent : number;
	return number == -1 || (number >= least && number <= most);
}

void handle_results_read(struct api_call *call)
{
	const struct http_request *request = call->request;
	struct results_exchange wanted = {0};
	int64_t wait_s;
	bool good = read_number(request, "cursor", 0, LIMIT_NUMBER, 0, &wanted.call.cursor) &&
		    read_number(request, "max", 1, LIMIT_RESULTS_PAGE, MAX_DEFAULT, &wanted.call.max) &&
		    read_number(request, "bytes", 1, LIMIT_RESULTS_BYTES, BYTES_DEFAULT, &wanted.call.bytes) &&
		    read_number(request, "wait", 0, LIMIT_TASK_WAIT_S, 0, &wait_s);
	if (!good) {
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request",
			    "cursor must be a number, max one from 1 to 10000, bytes from 1 to 8388608, wait from 0 to 60");
		return;
	}
	if (!parse_format(http_query(request, "format"), &wanted.format) ||
	    !parse_writer(http_query(request, "writer"), &wanted.call.writer)) {
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request",
			    "format must be json, lines, nul or resp, writer left or right");
		return;
	}
	if (wait_s > 0)
		wanted.call.deadline_ms = clock_monotonic_ms() + wait_s * 1000;
	begin(call, &wanted);
}

void handle_results_take(struct api_call *call)
{
	struct results_exchange wanted = {0};
	const char *writer = NULL;
	json_int_t upto = 0;
	struct err err = {0};
	const struct json_field fields[] = {
		{.name = "upto", .type = JSON_FIELD_INTEGER, .into = &upto, .required = true, .min = 0, .max = LIMIT_NUMBER},
		{.name = "writer", .type = JSON_FIELD_STRING, .into = &writer},
	};
	int rc = json_read_fields(call->body, fields, sizeof(fields) / sizeof(fields[0]), true, &err);
	if (!rc && !parse_writer(writer, &wanted.call.writer))
		rc = err_set(&err, ERR_INVALID, "field \"writer\" must be left or right");
	if (rc) {
		reply_err(call->request, &err);
		return;
	}
	wanted.call.take = true;
	wanted.call.cursor = upto;
	begin(call, &wanted);
}
