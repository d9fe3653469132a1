/* Owns the form of answers. Called by every handler; knows nothing of tasks or nodes. */
#include "hub/api/reply.h"

#include "base/clock.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { LOG_EVERY_MS = 10 * 1000 };

static const struct {
	enum err_code err;
	unsigned status;
	const char *code;
} ERRORS[] = {
	{ERR_INVALID, HTTP_BAD_REQUEST, "bad_request"},
	{ERR_NOT_FOUND, HTTP_NOT_FOUND, "not_found"},
	{ERR_EXISTS, HTTP_CONFLICT, "conflict"},
	{ERR_STATE, HTTP_BAD_REQUEST, "bad_state"},
	{ERR_TOO_BIG, HTTP_UNAVAILABLE, "limit_reached"},
	{ERR_DENIED, HTTP_FORBIDDEN, "forbidden"},
	{ERR_IO, HTTP_UNAVAILABLE, "state_unavailable"},
	{ERR_NO_SPACE, HTTP_UNAVAILABLE, "state_unavailable"},
};

static const char OUT_OF_MEMORY[] = "{\"error\":{\"code\":\"internal\",\"message\":\"out of memory\"}}\n";

static void respond(struct http_request *request, struct http_response *response, const char *type, char *body)
{
	if (!body) {
		response->status = HTTP_INTERNAL_ERROR;
		type = "application/json";
		body = strdup(OUT_OF_MEMORY);
	}
	response->content_type = type;
	response->body = body;
	response->body_len = body ? strlen(body) : 0;
	http_respond(request, response);
}

static char *dump_line(json_t *body)
{
	char *text = body ? json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	json_decref(body);
	size_t len = text ? strlen(text) : 0;
	char *line = text ? realloc(text, len + 2) : NULL;
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + len, "\n", 2); /* a terminal's prompt then stands on a line of its own */
	return line;
}

void reply_json(struct http_request *request, unsigned status, json_t *body)
{
	struct http_response response = {.status = status};
	respond(request, &response, "application/json", dump_line(body));
}

void reply_json_text(struct http_request *request, unsigned status, char *body)
{
	struct http_response response = {.status = status};
	respond(request, &response, "application/json", body);
}

void reply_bytes(struct http_request *request, unsigned status, const char *content_type, struct buf *body)
{
	struct http_response response = {.status = status, .content_type = content_type, .body_len = body->len};
	response.body = buf_steal(body);
	if (response.body)
		http_respond(request, &response);
	else
		respond(request, &response, "application/json", NULL);
}

void reply_bytes_with(struct http_request *request, const char *content_type, struct buf *body, const struct http_header *headers,
		      size_t count)
{
	struct http_response response = {.status = HTTP_OK, .content_type = content_type, .body_len = body->len};
	response.headers = headers;
	response.header_count = count;
	response.body = buf_steal(body);
	if (response.body)
		http_respond(request, &response);
	else
		respond(request, &response, "application/json", NULL);
}

void reply_text(struct http_request *request, unsigned status, const char *text)
{
	struct http_response response = {.status = status};
	respond(request, &response, "text/plain; charset=utf-8", strdup(text));
}

static char *error_body(const char *code, const char *message)
{
	json_t *body = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
	if (!body) /* a message may quote bytes that are not UTF-8 */
		body = json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", "the request is not valid UTF-8");
	return dump_line(body);
}

void reply_error(struct http_request *request, unsigned status, const char *code, const char *message)
{
	struct http_response response = {.status = status};
	respond(request, &response, "application/json", error_body(code, message));
}

void reply_error_counted(struct http_request *request, unsigned status, const char *code, const char *message, const char *name,
			 int64_t number)
{
	struct http_response response = {.status = status};
	json_t *count = number < 0 ? json_null() : json_integer(number);
	json_t *body = json_pack("{s:{s:s, s:s}, s:o}", "error", "code", code, "message", message, name, count);
	respond(request, &response, "application/json", dump_line(body));
}

/* The one who called cannot mend a full disk; the one who reads the log can. */
static void log_trouble_of_ours(const struct http_request *request, const struct err *err)
{
	static int64_t logged_ms;
	int64_t now = clock_monotonic_ms();
	if (logged_ms && now - logged_ms < LOG_EVERY_MS)
		return;
	logged_ms = now;
	log_error(NULL, "refused %s %s: %s", request->method, request->path, err->text);
}

void reply_err(struct http_request *request, const struct err *err)
{
	for (size_t i = 0; i < sizeof(ERRORS) / sizeof(ERRORS[0]); i++) {
		if (ERRORS[i].err == err->code) {
			if (ERRORS[i].status >= HTTP_INTERNAL_ERROR)
				log_trouble_of_ours(request, err);
			reply_error(request, ERRORS[i].status, ERRORS[i].code, err->text);
			return;
		}
	}
	log_trouble_of_ours(request, err);
	reply_error(request, HTTP_INTERNAL_ERROR, "internal", err->text);
}

static const char *redis_code(const struct err *err)
{
	bool away = err->code == ERR_UNREACHABLE || err->code == ERR_TIMEOUT;
	return away ? "redis_unreachable" : err->code == ERR_CANCELLED ? "ending" : "redis_refused";
}

void reply_redis_err(struct http_request *request, const struct err *err)
{
	log_trouble_of_ours(request, err);
	reply_error(request, HTTP_UNAVAILABLE, redis_code(err), err->text);
}

void reply_push_err(struct http_request *request, const struct err *err, int64_t items)
{
	bool full = err->code == ERR_NO_SPACE;
	log_trouble_of_ours(request, err);
	reply_error_counted(request, full ? HTTP_INSUFFICIENT_STORAGE : HTTP_UNAVAILABLE, full ? "redis_full" : redis_code(err),
			    err->text, "items", items);
}

void reply_method_not_allowed(struct http_request *request, const char *allow)
{
	struct http_response response = {.status = HTTP_METHOD_NOT_ALLOWED, .allow = allow};
	char message[256];
	(void)snprintf(message, sizeof(message), "this path knows %s", allow);
	respond(request, &response, "application/json", error_body("method_not_allowed", message));
}

void reply_forbidden(struct http_request *request, const char *missing)
{
	reply_error(request, HTTP_FORBIDDEN, "forbidden", missing);
}

void reply_unauthorized(struct http_request *request)
{
	struct http_response response = {.status = HTTP_UNAUTHORIZED, .authenticate = true};
	respond(request, &response, "application/json",
		error_body("unauthorized", "send one of the hub's tokens: Authorization: Bearer <token>"));
}
