/* How answers look: JSON, and one form for all errors: {"error": {"code", "message"}}. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/http.h"

#include <jansson.h>
#include <stdint.h>

enum {
	HTTP_OK = 200,
	HTTP_CREATED = 201,
	HTTP_BAD_REQUEST = 400,
	HTTP_UNAUTHORIZED = 401,
	HTTP_FORBIDDEN = 403,
	HTTP_NOT_FOUND = 404,
	HTTP_METHOD_NOT_ALLOWED = 405,
	HTTP_CONFLICT = 409,
	HTTP_CONTENT_TOO_LARGE = 413,
	HTTP_INTERNAL_ERROR = 500,
	HTTP_UNAVAILABLE = 503,
	HTTP_INSUFFICIENT_STORAGE = 507,
};

/* Takes the reference over. NULL (no memory while it was made) is answered as an internal error. */
void reply_json(struct http_request *request, unsigned status, json_t *body);

/* JSON that is text already; takes it over. NULL: as above. */
void reply_json_text(struct http_request *request, unsigned status, char *body);

/* Takes the bytes out of the buffer. */
void reply_bytes(struct http_request *request, unsigned status, const char *content_type, struct buf *body);

/* The same with further headers: count of them. */
void reply_bytes_with(struct http_request *request, const char *content_type, struct buf *body, const struct http_header *headers,
		      size_t count);

void reply_text(struct http_request *request, unsigned status, const char *text);

void reply_error(struct http_request *request, unsigned status, const char *code, const char *message);

/* The same, with a number beside "error" that says how far it went; negative: nobody knows, null. */
void reply_error_counted(struct http_request *request, unsigned status, const char *code, const char *message, const char *name,
			 int64_t number);

/* Status and code from the one table that maps our errors to HTTP. */
void reply_err(struct http_request *request, const struct err *err);

/* What Redis did not do: 503 whatever the reason was, so that a node repeats its call. */
void reply_redis_err(struct http_request *request, const struct err *err);

/* The same of a push, for people: 507 where Redis is full. */
void reply_push_err(struct http_request *request, const struct err *err, int64_t items);

/* 405, with the methods that the path does know: "GET, POST". */
void reply_method_not_allowed(struct http_request *request, const char *allow);

/* 403; missing: which token is needed. */
void reply_forbidden(struct http_request *request, const char *missing);

/* 401. */
void reply_unauthorized(struct http_request *request);
