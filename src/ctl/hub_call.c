/* Owns calls to the hub and their repetition. Called by every command; knows no call by name, and never prints but that the hub
 * does not answer, and that it does again. */
#include "ctl/hub_call.h"

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/random.h"
#include "base/text.h"
#include "ctl/hub_error.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum {
	CALL_TIMEOUT_MS = 30 * 1000,
	ANSWER_MAX_BYTES = 256 * 1024 * 1024,
	PATH_MAX_BYTES = 64 * 1024,
	PAUSE_MS = 200,
	PAUSE_MAX_MS = 3000,
	HEADERS_MAX = 5,
};

struct hub_call {
	struct ctl *ctl;
	struct hub_request request; /* its texts are the copies below */
	char *path, *url, *body, *type_header, *accept_header;
	hub_on_answer *on_answer;
	void *context;
	struct http_call *http;  /* NULL while PAUSED */
	uv_timer_t timer;
	struct backoff backoff;
	int64_t trouble_since_ms; /* monotonic; 0: none */
};

static void on_closed(uv_handle_t *handle)
{
	struct hub_call *call = handle->data;
	free(call->path);
	free(call->url);
	free(call->body);
	free(call->type_header);
	free(call->accept_header);
	free(call);
}

static void drop(struct hub_call *call)
{
	http_call_cancel(steal(call->http));
	uv_close((uv_handle_t *)&call->timer, on_closed);
}

static void answer(struct hub_call *call, const struct hub_answer *given)
{
	hub_on_answer *on_answer = call->on_answer;
	void *context = call->context;
	drop(call);
	on_answer(context, given);
}

static void answer_error(struct hub_call *call, const struct err *err)
{
	const struct hub_answer given = {.err = err, .code = "", .body = ""};
	answer(call, &given);
}

/* ---- one try ---- */

static int begin(struct hub_call *call, struct err *err);

static void on_pause_over(uv_timer_t *timer)
{
	struct hub_call *call = timer->data;
	struct err err = {0};
	if (begin(call, &err))
		answer_error(call, &err);
}

/* False when the time for it is over. */
static bool try_again(struct hub_call *call, const struct http_result *result)
{
	struct ctl *ctl = call->ctl;
	int64_t now = clock_monotonic_ms();
	int64_t pause = backoff_next_ms(&call->backoff, random_u32());
	if (!call->trouble_since_ms)
		call->trouble_since_ms = now;
	if (now + pause > call->trouble_since_ms + ctl->retry_for_ms)
		return false;
	const char *why = *result->text ? result->text : "a proxy says so";
	if (!ctl->hub_trouble && ctl->retry_for_ms == RETRY_FOR_EVER_MS)
		ctl_note(ctl, "the hub at %s does not answer (%s); waiting for it", ctl->config.hub.value, why);
	else if (!ctl->hub_trouble)
		ctl_note(ctl, "the hub at %s does not answer (%s); trying again for %lld s", ctl->config.hub.value, why,
			 (long long)((ctl->retry_for_ms + 999) / 1000));
	ctl->hub_trouble = true;
	(void)uv_timer_start(&call->timer, on_pause_over, (uint64_t)pause, 0);
	return true;
}

static void note_answer(struct hub_call *call)
{
	call->trouble_since_ms = 0;
	backoff_reset(&call->backoff);
	if (call->ctl->hub_trouble)
		ctl_note(call->ctl, "the hub answers again");
	call->ctl->hub_trouble = false;
}

static json_t *read_json(const struct hub_call *call, const struct http_result *result)
{
	bool wanted = !result->error && (!call->request.raw || result->status / 100 != 2);
	return wanted ? json_loadb(result->body, result->body_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL) : NULL;
}

static void on_done(void *context, const struct http_result *result)
{
	struct hub_call *call = context;
	struct err err = {0};
	call->http = NULL;
	AUTO_JSON json_t *json = read_json(call, result);
	int rc = hub_error_of(call->ctl, &call->request, result, json, &err);
	bool seen = call->request.once && (result->error ? result->sent : result->status != 503);
	if (rc && !seen && hub_error_is_transient(&call->request, result, json) && try_again(call, result))
		return;
	if (!rc || (!result->error && err.code != ERR_UNREACHABLE))
		note_answer(call);
	const struct hub_answer given = {
		.err = rc ? &err : NULL,
		.status = result->status,
		.code = hub_error_code(json),
		.json = json,
		.body = result->body,
		.body_len = result->body_len,
	};
	answer(call, &given);
}

static int begin(struct hub_call *call, struct err *err)
{
	const char *headers[HEADERS_MAX] = {NULL};
	size_t count = 0;
	if (call->ctl->authorization)
		headers[count++] = call->ctl->authorization;
	if (call->type_header)
		headers[count++] = call->type_header;
	if (call->accept_header)
		headers[count++] = call->accept_header;
	const struct http_call_options options = {
		.method = call->request.method,
		.url = call->url,
		.headers = headers,
		.body = call->body,
		.body_len = call->request.body_len,
		.timeout_ms = call->request.timeout_ms ? call->request.timeout_ms : CALL_TIMEOUT_MS,
		.max_body = call->request.max_answer ? call->request.max_answer : ANSWER_MAX_BYTES,
		.context = call,
		.on_done = on_done,
	};
	ctl_detail(call->ctl, "%s %s", call->request.method, call->url);
	call->http = http_client_start(call->ctl->http, &options, err);
	return call->http ? 0 : (int)err->code;
}

/* ---- beginning and ending ---- */

static char *join(const char *first, const char *second)
{
	struct buf text;
	buf_init(&text, PATH_MAX_BYTES);
	char *joined = buf_printf(&text, "%s%s", first, second) ? NULL : buf_steal(&text);
	buf_done(&text);
	return joined;
}

/* The hub's address may end with a slash, and may have a path of a proxy's in it. */
static char *make_url(const char *hub, const char *path)
{
	size_t len = strlen(hub);
	while (len > 0 && hub[len - 1] == '/')
		len--;
	AUTO_FREE char *base = strndup(hub, len);
	return base ? join(base, path) : NULL;
}

static bool copy_request(struct hub_call *call, const struct hub_request *request)
{
	call->request = *request;
	call->path = strdup(request->path);
	call->url = make_url(call->ctl->config.hub.value, request->path);
	call->request.path = call->path;
	if (request->body) {
		call->body = malloc(request->body_len + 1);
		if (!call->body)
			return false;
		memcpy(call->body, request->body, request->body_len);
		call->type_header = join("Content-Type: ", request->content_type ? request->content_type : "application/json");
	}
	if (request->accept)
		call->accept_header = join("Accept: ", request->accept);
	return call->path && call->url && (!request->body || call->type_header) && (!request->accept || call->accept_header);
}

struct hub_call *hub_call_start(struct ctl *ctl, const struct hub_request *request, hub_on_answer *on_answer, void *context,
				struct err *err)
{
	struct hub_call *call = calloc(1, sizeof(*call));
	if (!call || uv_timer_init(&ctl->loop, &call->timer)) {
		free(call);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	call->ctl = ctl;
	call->timer.data = call;
	call->on_answer = on_answer;
	call->context = context;
	call->backoff = BACKOFF(PAUSE_MS, PAUSE_MAX_MS);
	int rc = copy_request(call, request) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
	if (!rc)
		rc = begin(call, err);
	if (!rc)
		return call;
	drop(call);
	return NULL;
}

void hub_call_cancel(struct hub_call *call)
{
	if (call)
		drop(call);
}

/* ---- waiting ---- */

struct waiting {
	struct hub_reply *reply;
	struct err *err;
	int rc;
	bool done;
	bool raw;
};

static void on_awaited(void *context, const struct hub_answer *given)
{
	struct waiting *waiting = context;
	struct hub_reply *reply = waiting->reply;
	waiting->done = true;
	reply->status = given->status;
	text_copy(reply->code, sizeof(reply->code), given->code);
	reply->json = json_incref(given->json);
	if (given->err) {
		waiting->rc = (int)given->err->code;
		*waiting->err = *given->err;
	} else if (waiting->raw && buf_add(&reply->body, given->body, given->body_len)) {
		waiting->rc = err_set(waiting->err, ERR_NOMEM, "out of memory");
	}
}

int hub_ask(struct ctl *ctl, const struct hub_request *request, struct hub_reply *reply, struct err *err)
{
	struct waiting waiting = {.reply = reply, .err = err, .raw = request->raw};
	*reply = (struct hub_reply){0};
	buf_init(&reply->body, request->max_answer ? request->max_answer : ANSWER_MAX_BYTES);
	struct hub_call *call = hub_call_start(ctl, request, on_awaited, &waiting, err);
	if (!call)
		return (int)err->code;
	int rc = ctl_wait(ctl, &waiting.done, err);
	if (rc) {
		hub_call_cancel(call);
		return rc;
	}
	return waiting.rc;
}

void hub_reply_done(struct hub_reply *reply)
{
	json_decref(reply->json);
	reply->json = NULL;
	buf_done(&reply->body);
}

static int ask_json(struct ctl *ctl, const struct hub_request *request, json_t **into, struct err *err)
{
	struct hub_reply reply;
	int rc = hub_ask(ctl, request, &reply, err);
	if (into)
		*into = rc ? NULL : steal(reply.json);
	hub_reply_done(&reply);
	return rc;
}

int hub_get(struct ctl *ctl, const char *path, const char *needs, json_t **into, struct err *err)
{
	const struct hub_request request = {.method = "GET", .path = path, .needs = needs};
	return ask_json(ctl, &request, into, err);
}

int hub_post(struct ctl *ctl, const char *path, json_t *body, const char *needs, json_t **into, struct err *err)
{
	AUTO_JSON json_t *owned = body;
	AUTO_FREE char *text = owned ? json_dumps(owned, JSON_COMPACT) : NULL;
	if (into)
		*into = NULL;
	if (owned && !text)
		return err_set(err, ERR_NOMEM, "out of memory");
	const struct hub_request request = {.method = "POST",
					    .path = path,
					    .body = text,
					    .body_len = text ? strlen(text) : 0,
					    .once = true,
					    .needs = needs};
	return ask_json(ctl, &request, into, err);
}

char *hub_path(const char *before, const char *name, const char *after)
{
	static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
	struct buf path;
	buf_init(&path, PATH_MAX_BYTES);
	int rc = buf_printf(&path, "%s", before);
	/* A name of dots alone would be taken for a step up. */
	bool dots = strspn(name, ".") == strlen(name);
	for (const char *at = name; *at && !rc; at++)
		rc = strchr(PLAIN, *at) && !dots ? buf_add(&path, at, 1) : buf_printf(&path, "%%%02X", (unsigned)(unsigned char)*at);
	if (!rc)
		rc = buf_printf(&path, "%s", after);
	char *text = rc ? NULL : buf_steal(&path);
	buf_done(&path);
	return text;
}
