/* Owns HTTP calls: libcurl's multi interface on a libuv loop. Called by the hub client and the engine client; never
 * blocks, and never logs what it carries.
 *
 * curl tells which descriptors to watch (on_curl_socket) and when to wake it (on_curl_timer); libuv tells curl what
 * became ready (drive). A call lives from http_client_start until its on_done has returned, or until it is cancelled.
 *
 *   WAITING --handed to curl--> RUNNING --curl is done--> on_done --> freed
 *      |                           |
 *      +----------cancel-----------+--> DOOMED --> freed
 *
 * curl forbids adding and removing handles inside its own callbacks. So a call that is started there WAITS, and one
 * that is cancelled there is DOOMED (silent from then on), until curl has returned: settle() then does both. */
#include "net/http_client.h"

#include "base/buf.h"
#include "net/http_trust.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum { DEFAULT_CONNECT_TIMEOUT_MS = 10000, DEFAULT_MAX_BODY = 1024 * 1024 };

struct http_call {
	struct http_client *client;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body;
	char error_text[CURL_ERROR_SIZE];
	bool waiting; /* not handed to curl yet */
	bool doomed;  /* cancelled or done; no callback any more */
	bool too_big; /* the body passed its cap */
	bool headers_told;
	void *context;
	void (*on_headers)(void *context, int status);
	void (*on_data)(void *context, const char *bytes, size_t len);
	void (*on_done)(void *context, const struct http_result *result);
	struct http_call *prev, *next;
};

struct http_client {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	char *user_agent;
	const struct http_trust *trust; /* NULL: the system's authorities */
	struct http_call *calls;
	int depth;         /* > 0 while curl or an on_done is on the stack */
	bool closing;
	unsigned handles;  /* libuv handles not yet closed: the timer and the watches */
};

/* One watched descriptor. curl keeps the pointer for us (curl_multi_assign). */
struct watch {
	uv_poll_t poll;
	struct http_client *client;
	curl_socket_t fd;
};

static void free_client_if_unused(struct http_client *client)
{
	if (!client->closing || client->handles > 0)
		return;
	free(client->user_agent);
	free(client);
}

/* ---- curl asks, libuv watches ---- */

static void settle(struct http_client *client);

static void drive(struct http_client *client, curl_socket_t fd, int what)
{
	if (client->closing)
		return;
	int running;
	client->depth++;
	(void)curl_multi_socket_action(client->multi, fd, what, &running);
	client->depth--;
	settle(client);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;
	int what = status < 0 ? CURL_CSELECT_IN | CURL_CSELECT_OUT : 0; /* curl then reads the real error */
	if (events & UV_READABLE)
		what |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		what |= CURL_CSELECT_OUT;
	drive(watch->client, watch->fd, what);
}

static void on_timeout(uv_timer_t *timer)
{
	drive(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void on_watch_closed(uv_handle_t *handle)
{
	struct watch *watch = handle->data;
	struct http_client *client = watch->client;
	free(watch);
	client->handles--;
	free_client_if_unused(client);
}

static struct watch *watch_new(struct http_client *client, curl_socket_t fd)
{
	struct watch *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return NULL;
	watch->client = client;
	watch->fd = fd;
	if (uv_poll_init_socket(client->loop, &watch->poll, fd)) {
		free(watch);
		return NULL;
	}
	watch->poll.data = watch;
	client->handles++;
	return watch;
}

static int on_curl_socket(CURL *easy, curl_socket_t fd, int what, void *context, void *assigned)
{
	(void)easy;
	struct http_client *client = context;
	struct watch *watch = assigned;

	if (what == CURL_POLL_REMOVE) {
		if (watch) {
			(void)curl_multi_assign(client->multi, fd, NULL);
			(void)uv_poll_stop(&watch->poll);
			uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
		}
		return 0;
	}
	if (!watch) {
		watch = watch_new(client, fd);
		if (!watch)
			return -1; /* curl fails the transfer */
		(void)curl_multi_assign(client->multi, fd, watch);
	}
	int events = 0;
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	return uv_poll_start(&watch->poll, events, on_poll) ? -1 : 0;
}

static int on_curl_timer(CURLM *multi, long timeout_ms, void *context)
{
	(void)multi;
	struct http_client *client = context;
	if (client->closing)
		return 0;
	if (timeout_ms < 0)
		return uv_timer_stop(&client->timer) ? -1 : 0;
	return uv_timer_start(&client->timer, on_timeout, (uint64_t)timeout_ms, 0) ? -1 : 0;
}

/* ---- what a call hears from curl ---- */

static int status_of(const struct http_call *call)
{
	long status = 0;
	(void)curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &status);
	return (int)status;
}

/* curl counts what it has handed to the system. */
static bool was_sent(const struct http_call *call)
{
	long len = 0;
	(void)curl_easy_getinfo(call->easy, CURLINFO_REQUEST_SIZE, &len);
	return len > 0;
}

static size_t on_curl_header(char *bytes, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t len = size * count;
	bool last = len <= 2 && (bytes[0] == '\r' || bytes[0] == '\n');
	int status = last ? status_of(call) : 0;
	if (status >= 200 && call->on_headers && !call->headers_told && !call->doomed) {
		call->headers_told = true;
		call->on_headers(call->context, status);
	}
	return len;
}

static size_t on_curl_body(char *bytes, size_t size, size_t count, void *context)
{
	struct http_call *call = context;
	size_t len = size * count;
	if (call->doomed)
		return 0; /* ends the transfer */
	if (call->on_data && status_of(call) / 100 == 2) {
		call->on_data(call->context, bytes, len);
		return call->doomed ? 0 : len;
	}
	int rc = buf_add(&call->body, bytes, len);
	if (rc) {
		call->too_big = rc == ERR_TOO_BIG;
		return 0;
	}
	return len;
}

static int error_code_of(const struct http_call *call, CURLcode code)
{
	switch (code) {
	case CURLE_OK:
		return 0;
	case CURLE_OPERATION_TIMEDOUT:
		return ERR_TIMEOUT;
	case CURLE_COULDNT_CONNECT:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_RECV_ERROR:
	case CURLE_SEND_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_PARTIAL_FILE:
	case CURLE_SSL_CONNECT_ERROR:
		return ERR_UNREACHABLE;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
		return ERR_DENIED;
	case CURLE_SSL_CACERT_BADFILE:
		return ERR_INVALID;
	case CURLE_WRITE_ERROR:
		return call->too_big ? ERR_TOO_BIG : ERR_NOMEM;
	case CURLE_OUT_OF_MEMORY:
		return ERR_NOMEM;
	default:
		return ERR_PROTOCOL;
	}
}

static void free_call(struct http_call *call)
{
	DL_DELETE(call->client->calls, call);
	if (call->easy) {
		(void)curl_multi_remove_handle(call->client->multi, call->easy);
		curl_easy_cleanup(call->easy);
	}
	curl_slist_free_all(call->headers);
	buf_done(&call->body);
	free(call);
}

static void describe_failure(const struct http_call *call, CURLcode code, int error, char *into, size_t size)
{
	const char *text = call->error_text[0] ? call->error_text : curl_easy_strerror(code);
	if (error == ERR_TOO_BIG)
		text = "the answer is larger than expected";
	const char *advice = http_trust_advice(call->easy, code, text);
	(void)snprintf(into, size, "%s%s%s", error ? text : "", advice ? ": " : "", advice ? advice : "");
}

static void finish_call(struct http_call *call, CURLcode code)
{
	char text[CURL_ERROR_SIZE + 256];
	int error = error_code_of(call, code);
	describe_failure(call, code, error, text, sizeof(text));
	struct http_result result = {
		.error = error,
		.text = text,
		.hung_up = code == CURLE_GOT_NOTHING || code == CURLE_RECV_ERROR,
		.sent = was_sent(call),
		.status = status_of(call),
		.body = buf_text(&call->body),
		.body_len = call->body.len,
	};
	void (*on_done)(void *, const struct http_result *) = call->on_done;
	void *context = call->context;
	bool silent = call->doomed;

	/* While on_done runs, the call must survive a cancel from inside; it is ours to free. */
	call->doomed = true;
	call->client->depth++;
	if (!silent)
		on_done(context, &result);
	call->client->depth--;
	free_call(call);
}

static void finish_calls(struct http_client *client)
{
	int left;
	CURLMsg *message;
	while ((message = curl_multi_info_read(client->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		struct http_call *call = NULL;
		CURLcode code = message->data.result; /* the message dies with the handle */
		(void)curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&call);
		finish_call(call, code);
	}
}

static bool hand_to_curl(struct http_call *call)
{
	struct http_client *client = call->client;
	call->waiting = false;
	client->depth++;
	CURLMcode code = curl_multi_add_handle(client->multi, call->easy);
	client->depth--;
	return code == CURLM_OK;
}

/* What had to wait until curl returned. An on_done may start and cancel calls, hence the outer loop. */
static void settle(struct http_client *client)
{
	finish_calls(client);
	struct http_call *call = client->calls;
	while (call) {
		struct http_call *next = call->next;
		if (call->doomed)
			free_call(call);
		else if (call->waiting && !hand_to_curl(call))
			finish_call(call, CURLE_OUT_OF_MEMORY);
		else {
			call = next;
			continue;
		}
		call = client->calls; /* the list may have changed anywhere */
	}
}

/* ---- the caller's side ---- */

struct http_client *http_client_new(uv_loop_t *loop, const char *user_agent)
{
	struct http_client *client = calloc(1, sizeof(*client));
	if (!client)
		return NULL;
	client->loop = loop;
	client->user_agent = strdup(user_agent);
	client->multi = curl_multi_init();
	if (!client->user_agent || !client->multi || uv_timer_init(loop, &client->timer)) {
		(void)curl_multi_cleanup(client->multi);
		free(client->user_agent);
		free(client);
		return NULL;
	}
	client->handles = 1;
	client->timer.data = client;
	(void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket);
	(void)curl_multi_setopt(client->multi, CURLMOPT_SOCKETDATA, client);
	(void)curl_multi_setopt(client->multi, CURLMOPT_TIMERFUNCTION, on_curl_timer);
	(void)curl_multi_setopt(client->multi, CURLMOPT_TIMERDATA, client);
	return client;
}

void http_client_set_trust(struct http_client *client, const struct http_trust *trust)
{
	client->trust = trust;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct http_client *client = handle->data;
	client->handles--;
	free_client_if_unused(client);
}

void http_client_close(struct http_client *client)
{
	if (!client)
		return;
	assert(client->depth == 0 && !client->closing);
	struct http_call *call;
	struct http_call *next;
	DL_FOREACH_SAFE (client->calls, call, next)
		free_call(call);
	(void)curl_multi_cleanup(client->multi); /* lets go of every watch through on_curl_socket */
	client->closing = true;
	uv_close((uv_handle_t *)&client->timer, on_timer_closed);
}

static bool copy_headers(struct http_call *call, const char *const *headers)
{
	/* "Expect: 100-continue" would cost a round trip per larger body. */
	call->headers = curl_slist_append(NULL, "Expect:");
	for (size_t i = 0; call->headers && headers && headers[i]; i++) {
		struct curl_slist *longer = curl_slist_append(call->headers, headers[i]);
		if (!longer)
			return false;
		call->headers = longer;
	}
	return call->headers != NULL;
}

/* Remembers the first option that curl refused. */
#define SET(option, value) \
	do { \
		if (code == CURLE_OK) \
			code = curl_easy_setopt(call->easy, (option), (value)); \
	} while (0)

static CURLcode configure_address(struct http_call *call, const struct http_call_options *options)
{
	CURLcode code = CURLE_OK;
	SET(CURLOPT_URL, options->url);
	SET(CURLOPT_PROTOCOLS_STR, "http,https");
	if (options->unix_socket) {
		SET(CURLOPT_UNIX_SOCKET_PATH, options->unix_socket);
		SET(CURLOPT_PROXY, "");
	} else {
		SET(CURLOPT_TCP_KEEPALIVE, 1L);
		SET(CURLOPT_TCP_KEEPIDLE, 30L);
		SET(CURLOPT_TCP_KEEPINTVL, 10L);
	}
	int64_t connect_ms = options->connect_timeout_ms ? options->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
	SET(CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
	SET(CURLOPT_TIMEOUT_MS, (long)options->timeout_ms);
	return code == CURLE_OK ? http_trust_apply(call->easy, call->client->trust) : code;
}

static CURLcode configure_request(struct http_call *call, const struct http_call_options *options)
{
	CURLcode code = CURLE_OK;
	bool post = strcmp(options->method, "POST") == 0;
	if (post || options->body) {
		SET(CURLOPT_POST, 1L);
		SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)(options->body ? options->body_len : 0));
		SET(CURLOPT_COPYPOSTFIELDS, options->body ? options->body : "");
	}
	if (!post)
		SET(CURLOPT_CUSTOMREQUEST, options->method);
	SET(CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1);
	SET(CURLOPT_HTTPHEADER, call->headers);
	SET(CURLOPT_USERAGENT, call->client->user_agent);
	return code;
}

static CURLcode configure_callbacks(struct http_call *call)
{
	CURLcode code = CURLE_OK;
	SET(CURLOPT_NOSIGNAL, 1L);
	SET(CURLOPT_PRIVATE, (void *)call);
	SET(CURLOPT_ERRORBUFFER, call->error_text);
	SET(CURLOPT_HEADERFUNCTION, on_curl_header);
	SET(CURLOPT_HEADERDATA, (void *)call);
	SET(CURLOPT_WRITEFUNCTION, on_curl_body);
	SET(CURLOPT_WRITEDATA, (void *)call);
	return code;
}

#undef SET

struct http_call *http_client_start(struct http_client *client, const struct http_call_options *options, struct err *err)
{
	struct http_call *call = calloc(1, sizeof(*call));
	if (!call) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	call->client = client;
	call->context = options->context;
	call->on_headers = options->on_headers;
	call->on_data = options->on_data;
	call->on_done = options->on_done;
	buf_init(&call->body, options->max_body ? options->max_body : DEFAULT_MAX_BODY);
	DL_APPEND(client->calls, call);

	call->easy = curl_easy_init();
	CURLcode code = call->easy && copy_headers(call, options->headers) ? CURLE_OK : CURLE_OUT_OF_MEMORY;
	if (code == CURLE_OK)
		code = configure_address(call, options);
	if (code == CURLE_OK)
		code = configure_request(call, options);
	if (code == CURLE_OK)
		code = configure_callbacks(call);
	if (code == CURLE_OK && client->depth > 0) {
		call->waiting = true;
		return call;
	}
	if (code == CURLE_OK) {
		if (hand_to_curl(call))
			return call;
		code = CURLE_OUT_OF_MEMORY;
	}
	(void)err_set(err, ERR_INVALID, "cannot call %s: %s", options->unix_socket ? options->unix_socket : options->url,
		      curl_easy_strerror(code));
	free_call(call);
	return NULL;
}

void http_call_cancel(struct http_call *call)
{
	if (!call)
		return;
	call->doomed = true;
	if (call->client->depth == 0)
		free_call(call);
}
