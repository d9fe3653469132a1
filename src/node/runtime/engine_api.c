/* Owns the form of Engine calls: version prefix, JSON bodies, errors. Called by everything in this room that speaks to
 * an engine. Never decides what a refusal means for its caller, and never logs. */
#include "node/runtime/engine_api.h"

#include "base/cleanup.h"
#include "net/http_client.h"
#include "node/runtime/engine_error.h"

#include <assert.h>
#include <string.h>

struct engine {
	struct http_client *http;
	char *socket_path;
	char *prefix; /* "http://engine/v1.41" */
};

struct engine_call {
	struct http_call *http;
	struct engine *engine;
	void *context;
	void (*on_data)(void *context, const char *bytes, size_t len);
	void (*on_headers)(void *context, int status);
	void (*on_answer)(void *context, const struct engine_answer *answer);
};

struct engine *engine_new(uv_loop_t *loop)
{
	struct engine *engine = calloc(1, sizeof(*engine));
	if (!engine)
		return NULL;
	engine->http = http_client_new(loop, "gridnode/" PROJECT_VERSION);
	if (!engine->http) {
		free(engine);
		return NULL;
	}
	return engine;
}

void engine_close(struct engine *engine)
{
	if (!engine)
		return;
	http_client_close(engine->http);
	free(engine->socket_path);
	free(engine->prefix);
	free(engine);
}

int engine_connect(struct engine *engine, const char *socket_path, const char *api_version)
{
	struct buf prefix;
	buf_init(&prefix, 64);
	char *path = strdup(socket_path);
	int rc = path ? buf_printf(&prefix, "http://engine%s%s", api_version ? "/v" : "", api_version ? api_version : "")
		      : ERR_NOMEM;
	if (rc == 0) {
		free(engine->socket_path);
		free(engine->prefix);
		engine->socket_path = steal(path);
		engine->prefix = buf_steal(&prefix);
	}
	free(path);
	buf_done(&prefix);
	return rc;
}

static void on_http_headers(void *context, int status)
{
	struct engine_call *call = context;
	call->on_headers(call->context, status);
}

static void on_http_data(void *context, const char *bytes, size_t len)
{
	struct engine_call *call = context;
	call->on_data(call->context, bytes, len);
}

static void on_http_done(void *context, const struct http_result *result)
{
	struct engine_call *call = context;
	struct err err = {0};
	struct engine_answer answer = {.status = result->error ? 0 : result->status};
	AUTO_JSON json_t *json = NULL;

	if (result->error) {
		(void)err_set(&err, (enum err_code)result->error, "%s: %s", call->engine->socket_path, result->text);
	} else if (result->status / 100 == 2 || result->status == 304) {
		json = json_loadb(result->body, result->body_len, 0, NULL);
		if (!json && strspn(result->body, " \r\n") < result->body_len)
			(void)err_set(&err, ERR_PROTOCOL, "%s: the answer is not JSON", call->engine->socket_path);
	} else {
		(void)engine_error_from_answer(&err, result->status, result->body, result->body_len);
	}
	answer.json = json;
	answer.err = err.code ? &err : NULL;
	void (*on_answer)(void *, const struct engine_answer *) = call->on_answer;
	void *caller = call->context;
	free(call);
	on_answer(caller, &answer);
}

static struct http_call *start_http(struct engine *engine, struct engine_call *call,
				    const struct engine_request *request, struct err *err)
{
	AUTO_FREE char *json = request->body ? json_dumps(request->body, JSON_COMPACT) : NULL;
	struct buf url;
	struct buf auth;
	buf_init(&url, 16 * 1024);
	buf_init(&auth, 256 * 1024);
	struct http_call *http = NULL;

	int rc = buf_printf(&url, "%s%s", engine->prefix, request->path);
	if (rc == 0 && request->registry_auth)
		rc = buf_printf(&auth, "X-Registry-Auth: %s", request->registry_auth);
	if (rc || (request->body && !json)) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
	} else {
		/* An engine wants the type of a body, also of one that is not there. */
		const char *type = request->archive ? "Content-Type: application/x-tar" : "Content-Type: application/json";
		const char *headers[] = {type, auth.len ? buf_text(&auth) : NULL, NULL};
		struct http_call_options options = {
			.method = request->method,
			.url = buf_text(&url),
			.unix_socket = engine->socket_path,
			.headers = headers,
			.body = request->archive ? request->archive : json,
			.body_len = request->archive ? request->archive_len : json ? strlen(json) : 0,
			.timeout_ms = request->timeout_ms,
			.max_body = request->max_body,
			.context = call,
			.on_headers = request->on_headers ? on_http_headers : NULL,
			.on_data = request->on_data ? on_http_data : NULL,
			.on_done = on_http_done,
		};
		http = http_client_start(engine->http, &options, err);
	}
	buf_done(&auth);
	buf_done(&url);
	return http;
}

struct engine_call *engine_start(struct engine *engine, const struct engine_request *request, struct err *err)
{
	assert(engine->prefix && request->on_answer);
	struct engine_call *call = calloc(1, sizeof(*call));
	if (!call) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	call->engine = engine;
	call->context = request->context;
	call->on_headers = request->on_headers;
	call->on_data = request->on_data;
	call->on_answer = request->on_answer;
	call->http = start_http(engine, call, request, err);
	if (!call->http) {
		free(call);
		return NULL;
	}
	return call;
}

void engine_cancel(struct engine_call *call)
{
	if (!call)
		return;
	http_call_cancel(call->http);
	free(call);
}

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
	       c == '-';
}

int engine_query(struct buf *path, const char *name, const char *value)
{
	int rc = buf_printf(path, "%c%s=", strchr(buf_text(path), '?') ? '&' : '?', name);
	for (; rc == 0 && *value; value++)
		rc = is_plain(*value) ? buf_add(path, value, 1) : buf_printf(path, "%%%02X", (unsigned char)*value);
	return rc;
}

bool engine_is_name(const char *name)
{
	if (!name || !name[0] || name[0] == '.')
		return false;
	while (is_plain(*name))
		name++;
	return *name == '\0';
}
