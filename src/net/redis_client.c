/* Owns the connection to one Redis and the commands on it. Called by the hub's broker; never decides whether a command is
 * repeated, never logs, never shows a password.
 *
 *   WAITING --backoff is over--> CONNECTING --open--> GREETING --AUTH, SELECT, PING answered--> UP   on_up
 *      ^                             |                   |                                       |
 *      +--failed, refused, timed out-+-------------------+----------lost, a command timed out----+   on_down
 *   any state --redis_client_close--> CLOSED
 *
 * GREETING's commands (redis_greeting.c) leave together, and are not among the calls.
 *
 * One timer serves the state: the backoff of WAITING, the patience of CONNECTING and GREETING, the earliest deadline of UP. */
#include "net/redis_client.h"

#include "base/backoff.h"
#include "base/buf.h"
#include "base/random.h"
#include "base/url.h"
#include "net/redis_calls.h"
#include "net/redis_error.h"
#include "net/redis_eval.h"
#include "net/redis_greeting.h"
#include "net/redis_script.h"
#include "net/stream.h"
#include "net/tls.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	DEFAULT_MAX_COMMANDS = 16384,
	DEFAULT_MAX_BYTES = 64 * 1024 * 1024,
	DEFAULT_CONNECT_TIMEOUT_MS = 10000,
	DEFAULT_BACKOFF_BASE_MS = 100,
	DEFAULT_BACKOFF_MAX_MS = 5000,
	GREETING_BYTES = 64 * 1024,
	KEPT_BYTES = 256 * 1024, /* memory that an empty buffer keeps */
};

enum state { WAITING, CONNECTING, GREETING, UP, CLOSED };

struct redis_client {
	uv_loop_t *loop;
	struct redis_client_options options; /* without its strings */
	struct redis_url url;
	char *unix_socket;
	char *name;
	struct resp_limits limits;
	enum state state;
	struct redis_greeting greeting;
	struct stream *stream;        /* CONNECTING, GREETING, UP */
	struct resp_reader *reader;   /* of the present connection, or the last one */
	uv_timer_t timer;
	struct backoff backoff;
	struct redis_calls calls;
	int64_t deadline_ms;          /* UP: when the timer fires */
	bool overdue;                 /* it fired for a call, whose reply may lie unread: one more turn */
	struct buf scratch;           /* a command while it is made */
	struct redis_loaded loaded;   /* by the present connection */
	char told[ERR_TEXT_MAX];      /* by on_down, since the last on_up */
};

static void begin_connecting(struct redis_client *client);
static void on_timer(uv_timer_t *timer);

static void start_timer(struct redis_client *client, int64_t wait_ms)
{
	(void)uv_timer_start(&client->timer, on_timer, (uint64_t)(wait_ms > 0 ? wait_ms : 0), 0);
}

/* ---- telling the callers ---- */

static void tell(const struct redis_call *call, const struct resp_value *reply, const struct err *err)
{
	if (call->on_reply)
		call->on_reply(call->context, reply, err);
}

/* Ends all outstanding calls; those whose deadline is past by ERR_TIMEOUT if now_ms is given. */
static void end_calls(struct redis_client *client, const struct err *err, int64_t now_ms)
{
	assert(client->state != UP); /* so that nothing is added meanwhile */
	struct redis_call call;
	while (redis_calls_shift(&client->calls, &call)) {
		free(call.tail);
		struct err timeout = {0};
		bool late = call.deadline_ms <= now_ms;
		if (late)
			(void)err_set(&timeout, ERR_TIMEOUT, "%s did not answer in time", client->name);
		tell(&call, NULL, late ? &timeout : err);
	}
}

/* The connection is of no use: everybody is told, and a new one is made after a while. */
static void drop(struct redis_client *client, const struct err *reason, int64_t now_ms)
{
	assert(client->state != WAITING && client->state != CLOSED);
	stream_close(client->stream); /* nothing, if it closed itself */
	client->stream = NULL;
	client->state = WAITING;
	start_timer(client, backoff_next_ms(&client->backoff, random_u32()));

	struct err lost = {0};
	(void)err_set(&lost, ERR_UNREACHABLE, "%s", reason->text);
	end_calls(client, &lost, now_ms);
	if (client->state == CLOSED || strcmp(client->told, reason->text) == 0)
		return;
	(void)snprintf(client->told, sizeof(client->told), "%s", reason->text);
	if (client->options.on_down)
		client->options.on_down(client->options.context, reason);
}

static void drop_for(struct redis_client *client, struct err *reason)
{
	(void)err_wrap(reason, "%s", client->name);
	drop(client, reason, INT64_MIN);
}

/* ---- deadlines ---- */

static int64_t now_of(const struct redis_client *client)
{
	return (int64_t)uv_now(client->loop);
}

static void watch_deadline(struct redis_client *client, int64_t deadline_ms)
{
	if (deadline_ms >= client->deadline_ms)
		return;
	client->deadline_ms = deadline_ms;
	start_timer(client, deadline_ms - now_of(client));
}

static void check_deadlines(struct redis_client *client)
{
	int64_t earliest = INT64_MAX;
	for (size_t i = 0; i < client->calls.count; i++) {
		int64_t deadline = redis_calls_at(&client->calls, i)->deadline_ms;
		earliest = deadline < earliest ? deadline : earliest;
	}
	int64_t now = now_of(client);
	client->deadline_ms = INT64_MAX;
	if (earliest > now) {
		client->overdue = false;
		watch_deadline(client, earliest);
	} else if (!client->overdue) {
		/* If this program itself was held up, the reply may have come meanwhile: the loop reads before it returns. */
		client->overdue = true;
		watch_deadline(client, now + 1);
	} else {
		struct err err = {0};
		(void)err_set(&err, ERR_TIMEOUT, "%s did not answer in time", client->name);
		drop(client, &err, now);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct redis_client *client = timer->data;
	struct err err = {0};
	if (client->state == WAITING) {
		begin_connecting(client);
	} else if (client->state == UP) {
		check_deadlines(client);
	} else {
		(void)err_set(&err, ERR_TIMEOUT, "no greeting within %" PRId64 " ms", client->options.connect_timeout_ms);
		drop_for(client, &err);
	}
}

/* ---- sending ---- */

static void clear_scratch(struct redis_client *client)
{
	size_t cap = client->scratch.cap;
	if (client->scratch.capacity > KEPT_BYTES)
		buf_done(&client->scratch);
	else
		buf_clear(&client->scratch);
	client->scratch.cap = cap;
}

/* What is in scratch, as a call. Takes call->tail, also on failure. */
static int send_call(struct redis_client *client, struct redis_call *call, struct err *err)
{
	call->bytes = client->scratch.len + call->tail_len;
	int rc = call->bytes > client->options.max_bytes - client->calls.bytes ? ERR_TOO_BIG
									       : redis_calls_push(&client->calls, call);
	if (rc) {
		free(call->tail);
	} else {
		rc = stream_write(client->stream, client->scratch.data, client->scratch.len);
		if (rc)
			redis_calls_unpush(&client->calls);
	}
	clear_scratch(client);
	if (rc == 0)
		watch_deadline(client, call->deadline_ms);
	return rc ? err_set(err, rc, "%s: too much is outstanding (%zu commands, %zu bytes)", client->name,
			    client->calls.count, client->calls.bytes)
		  : 0;
}

static int no_room(struct redis_client *client, int rc, struct err *err)
{
	clear_scratch(client);
	return err_set(err, rc, rc == ERR_TOO_BIG ? "%s: a command is over the limit of %zu bytes" : "%s: out of memory",
		       client->name, client->options.max_bytes);
}

static int require_up(const struct redis_client *client, struct err *err)
{
	return client->state == UP ? 0 : err_set(err, ERR_UNREACHABLE, "%s is not connected", client->name);
}

static int64_t deadline_after(const struct redis_client *client, int64_t timeout_ms)
{
	return timeout_ms > 0 ? now_of(client) + timeout_ms : INT64_MAX;
}

int redis_client_command(struct redis_client *client, size_t argc, const char *const *argv, const size_t *lens,
			 int64_t timeout_ms, redis_on_reply *on_reply, void *context, struct err *err)
{
	int rc = require_up(client, err);
	if (rc)
		return rc;
	rc = resp_add_command(&client->scratch, argc, argv, lens);
	if (rc)
		return no_room(client, rc, err);
	struct redis_call call = {
		.on_reply = on_reply, .context = context, .deadline_ms = deadline_after(client, timeout_ms)};
	return send_call(client, &call, err);
}

/* ---- scripts ---- */

int redis_client_eval(struct redis_client *client, const struct redis_script *script, size_t key_count, size_t argc,
		      const char *const *argv, const size_t *lens, int64_t timeout_ms, redis_on_reply *on_reply,
		      void *context, struct err *err)
{
	assert(script->sha[0] && key_count <= argc);
	int rc = require_up(client, err);
	if (rc)
		return rc;
	bool by_sha = redis_loaded_has(&client->loaded, script);
	struct buf tail;
	buf_init(&tail, client->options.max_bytes);
	rc = redis_eval_write_tail(&tail, key_count, argc, argv, lens);
	if (!rc)
		rc = redis_eval_write(&client->scratch, script, by_sha, argc + 1, &tail);
	if (rc) {
		buf_done(&tail);
		return no_room(client, rc, err);
	}
	struct redis_call call = {
		.on_reply = on_reply, .context = context, .deadline_ms = deadline_after(client, timeout_ms)};
	if (by_sha) {
		call.script = script;
		call.argc = argc + 1;
		call.tail_len = tail.len;
		call.tail = buf_steal(&tail);
	}
	buf_done(&tail);
	rc = send_call(client, &call, err);
	if (!rc && !by_sha)
		redis_loaded_add(&client->loaded, script);
	return rc;
}

/* Redis forgot the script and did nothing: once more, with the text. Takes call->tail. */
static int repeat_with_text(struct redis_client *client, const struct redis_call *call, struct err *err)
{
	struct redis_call again = *call;
	struct buf tail = {.data = call->tail, .len = call->tail_len, .cap = call->tail_len};
	again.script = NULL; /* a second NOSCRIPT is an error */
	again.tail = NULL;
	again.tail_len = 0;
	redis_loaded_drop(&client->loaded, call->script);
	int rc = redis_eval_write(&client->scratch, call->script, false, call->argc, &tail);
	free(call->tail);
	return rc ? no_room(client, rc, err) : send_call(client, &again, err);
}

/* ---- replies ---- */

static void on_answer(struct redis_client *client, const struct resp_value *reply)
{
	struct redis_call call;
	struct err err = {0};
	if (!redis_calls_shift(&client->calls, &call)) {
		(void)err_set(&err, ERR_PROTOCOL, "an answer that nobody asked for");
		drop_for(client, &err);
		return;
	}
	if (call.script && redis_error_is(reply, "NOSCRIPT")) {
		if (repeat_with_text(client, &call, &err))
			tell(&call, NULL, &err);
		return;
	}
	free(call.tail);
	if (reply->type != RESP_ERROR) {
		tell(&call, reply, NULL);
		return;
	}
	bool unusable = redis_error_explain(reply, &err);
	(void)err_wrap(&err, "%s", client->name);
	tell(&call, err.code == ERR_UNREACHABLE ? NULL : reply, &err);
	if (unusable && client->state == UP)
		drop(client, &err, INT64_MIN);
}

static void on_greeted(struct redis_client *client, const struct resp_value *reply)
{
	struct err err = {0};
	if (redis_greeting_answer(&client->greeting, &client->url, reply, &err)) {
		drop_for(client, &err);
		return;
	}
	if (client->greeting.waits)
		return;
	client->state = UP;
	client->deadline_ms = INT64_MAX;
	client->overdue = false;
	client->told[0] = '\0';
	(void)uv_timer_stop(&client->timer);
	backoff_reset(&client->backoff);
	if (client->options.on_up)
		client->options.on_up(client->options.context);
}

static void on_data(void *context, const char *bytes, size_t len)
{
	struct redis_client *client = context;
	const struct stream *stream = client->stream;
	const struct resp_value *reply = NULL;
	struct err err = {0};
	int rc = resp_reader_feed(client->reader, bytes, len, &err);
	while (!rc && client->stream == stream) {
		rc = resp_reader_next(client->reader, &reply, &err);
		if (rc || !reply)
			break;
		if (client->state == GREETING)
			on_greeted(client, reply);
		else
			on_answer(client, reply);
	}
	if (rc && client->stream == stream)
		drop_for(client, &err);
}

/* ---- the connection ---- */

static void on_open(void *context)
{
	struct redis_client *client = context;
	struct buf out;
	buf_init(&out, GREETING_BYTES);
	client->state = GREETING;
	int rc = redis_greeting_write(&client->greeting, &client->url, &out);
	if (!rc)
		rc = stream_write(client->stream, out.data, out.len);
	if (out.data)
		explicit_bzero(out.data, out.len);
	buf_done(&out);
	if (rc) {
		struct err err = {0};
		(void)err_set(&err, rc, "no memory for a greeting");
		drop_for(client, &err);
	}
}

static void on_closed(void *context, const struct err *reason)
{
	drop(context, reason, INT64_MIN); /* the stream has named the peer */
}

static void begin_connecting(struct redis_client *client)
{
	struct err err = {0};
	const struct stream_options options = {
		.max_queue = client->options.max_bytes + GREETING_BYTES,
		.connect_timeout_ms = client->options.connect_timeout_ms,
		.allow_link_local = client->options.allow_link_local,
		.tls = client->url.tls ? client->options.tls : NULL,
		.tls_host = client->url.host,
		.context = client,
		.on_open = on_open,
		.on_data = on_data,
		.on_closed = on_closed,
	};
	client->state = CONNECTING;
	client->loaded.count = 0;
	resp_reader_free(client->reader);
	client->reader = resp_reader_new(&client->limits);
	if (!client->reader)
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else if (client->unix_socket)
		client->stream = stream_connect_unix(client->loop, client->unix_socket, &options, &err);
	else
		client->stream = stream_connect_tcp(client->loop, client->url.host, client->url.port, &options, &err);
	if (client->stream)
		start_timer(client, client->options.connect_timeout_ms + 1); /* the stream's own is the clearer message */
	else
		drop_for(client, &err);
}

/* ---- construction ---- */

static void client_free(struct redis_client *client)
{
	redis_calls_done(&client->calls);
	resp_reader_free(client->reader);
	tls_context_free(client->options.tls);
	redis_url_done(&client->url);
	buf_done(&client->scratch);
	free(client->unix_socket);
	free(client->name);
	free(client);
}

#define DEFAULT(field, value) \
	do { \
		if (!client->options.field) \
			client->options.field = (value); \
	} while (0)

static int configure(struct redis_client *client, const struct redis_client_options *options, struct err *err)
{
	client->options = *options;
	client->options.url = NULL;
	client->options.unix_socket = NULL;
	client->options.tls = tls_context_ref(options->tls);
	client->limits = RESP_LIMITS_REPLIES;
	if (options->max_reply) {
		client->limits.max_message = options->max_reply;
		client->limits.max_bulk = options->max_reply;
	}
	DEFAULT(max_commands, DEFAULT_MAX_COMMANDS);
	DEFAULT(max_bytes, DEFAULT_MAX_BYTES);
	DEFAULT(connect_timeout_ms, DEFAULT_CONNECT_TIMEOUT_MS);
	DEFAULT(backoff_base_ms, DEFAULT_BACKOFF_BASE_MS);
	DEFAULT(backoff_max_ms, DEFAULT_BACKOFF_MAX_MS);
	client->backoff = BACKOFF(client->options.backoff_base_ms, client->options.backoff_max_ms);
	client->calls.max = client->options.max_commands;
	buf_init(&client->scratch, client->options.max_bytes);

	int rc = url_parse_redis(options->url, &client->url, err);
	if (rc)
		return rc;
	if (client->url.socket && !options->allow_unix_url)
		return err_set(err, ERR_INVALID, "a Redis at a Unix socket is not allowed here");
	client->name = url_masked(options->url);
	const char *unix_socket = options->unix_socket ? options->unix_socket : client->url.socket;
	client->unix_socket = unix_socket ? strdup(unix_socket) : NULL;
	if (!client->name || (unix_socket && !client->unix_socket))
		return err_set(err, ERR_NOMEM, "out of memory");
	if (client->url.tls && !client->options.tls)
		client->options.tls = tls_client_new(NULL, err);
	return client->url.tls && !client->options.tls ? ERR_INTERNAL : 0;
}

#undef DEFAULT

struct redis_client *redis_client_new(uv_loop_t *loop, const struct redis_client_options *options, struct err *err)
{
	struct redis_client *client = calloc(1, sizeof(*client));
	if (!client) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	client->loop = loop;
	if (configure(client, options, err)) {
		client_free(client);
		return NULL;
	}
	(void)uv_timer_init(loop, &client->timer);
	client->timer.data = client;
	client->state = WAITING;
	start_timer(client, 0); /* so that no callback comes from inside */
	return client;
}

static void on_timer_closed(uv_handle_t *handle)
{
	client_free(handle->data);
}

void redis_client_close(struct redis_client *client)
{
	if (!client || client->state == CLOSED)
		return;
	client->state = CLOSED;
	stream_close(client->stream);
	client->stream = NULL;
	uv_close((uv_handle_t *)&client->timer, on_timer_closed);
	struct err err = {0};
	(void)err_set(&err, ERR_CANCELLED, "the client of %s was closed", client->name);
	end_calls(client, &err, INT64_MIN);
}

bool redis_client_is_up(const struct redis_client *client)
{
	return client->state == UP;
}

const char *redis_client_name(const struct redis_client *client)
{
	return client->name;
}

size_t redis_client_outstanding(const struct redis_client *client)
{
	return client->calls.count;
}

void redis_client_forget(struct redis_client *client, const void *context)
{
	for (size_t i = 0; i < client->calls.count; i++) {
		struct redis_call *call = redis_calls_at(&client->calls, i);
		if (call->context == context)
			call->on_reply = NULL;
	}
}
