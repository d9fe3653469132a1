/* Owns the calls to the hub and their repetition. Called by the agent; never decides what to run.
 *
 *   REGISTERING --answer--> SERVING: heartbeats and the task call, each a loop of its own
 *     ^    |                      |  |
 *     |    +--error: backoff      |  +--leave--> LEAVING --told, or not in time--> on_left
 *     +--404, or 401 to our secret+
 *
 * A hub gives each node a secret of its own at registration; from then on every call carries it, registrations too. A hub that
 * refuses it has revoked or lost it: then the token registers us anew, as another node if the hub wants. If it refuses the token
 * too, it may not be our hub at all (a proxy, a wrong port): both are tried in turn, so that we are who we were when it is back.
 *
 *   heartbeat: timer --> call --> timer (the interval; soon, when something changed; backoff after an error)
 *   task:      call (held by the hub) --> on_task --> call …; backoff after an error
 *
 * A hub that answers the task call without a `version` is a seed hub: it does not hold, so it is polled. Failure modes: the
 * hub is away (said once, and once when it is back; containers go on meanwhile); it refuses the token (said with what to
 * do; tried again, since a token can be mended at the hub too); it answers nonsense (as if it were away). */
#include "node/hub_client.h"

#include "base/backoff.h"
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/config_checks.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "proto/limits.h"

#include <assert.h>
#include <string.h>
#include <strings.h>

enum {
	CALL_TIMEOUT_MS = 20 * 1000,
	TASK_WAIT_S = 30,
	TASK_TIMEOUT_MS = (TASK_WAIT_S + 15) * 1000,
	SEED_POLL_MS = 5 * 1000,
	DISPLACED_MS = 1000,    /* an answer without news that comes sooner is not the hub's own patience */
	DISPLACED_TELL = 3,     /* how many of them in a row are told to people */
	REPORT_SOON_MS = 200,
	REPORT_AGAIN_MS = 1000, /* the least pause between two heartbeats */
	LEAVE_TIMEOUT_MS = 2 * 1000,
	BODY_MAX = 1024 * 1024,
	NODE_ID_SIZE = LIMIT_NODE_ID + 1,
};

enum hub_client_state { HUB_REGISTERING, HUB_SERVING, HUB_LEAVING };

/* One repeated call: its timer, its pauses, and the call while it is under way. */
struct repeated {
	struct hub_client *client;
	struct http_call *call;
	struct backoff backoff;
	uv_timer_t timer;
	void (*start)(struct hub_client *client);
};

struct hub_client {
	struct http_client *http;
	struct hub_client_options options;
	enum hub_client_state state;
	char node_id[NODE_ID_SIZE]; /* "" before the first registration */
	char *authorization;        /* the header with the token */
	char *own_authorization;    /* with our own secret; NULL while we have none */
	char secret[LIMIT_NODE_SECRET + 1];
	bool secret_refused;        /* the token is used in its place */
	struct repeated registration;
	struct repeated heartbeat;
	struct repeated task;
	int64_t version;            /* of the task that the hub told last; -1: none */
	int64_t task_asked_ms;      /* monotonic; when the task call under way was made */
	bool report_pending;        /* something changed while a heartbeat was under way */
	bool stop_told;
	bool draining;              /* the hub wants us to run nothing for now */
	enum err_code trouble;      /* what was last said about the hub; ERR_OK while it answers */
	void (*on_left)(void *context);
	unsigned handles;
};

/* ---- repetition ---- */

static void on_repeat(uv_timer_t *timer)
{
	struct repeated *repeated = timer->data;
	if (!repeated->call)
		repeated->start(repeated->client);
}

static void repeat_in(struct repeated *repeated, int64_t ms)
{
	(void)uv_timer_start(&repeated->timer, on_repeat, (uint64_t)ms, 0);
}

static void stop_repeating(struct repeated *repeated)
{
	(void)uv_timer_stop(&repeated->timer);
	http_call_cancel(steal(repeated->call));
	backoff_reset(&repeated->backoff);
}

/* ---- the hub's answers ---- */

static void note_trouble(struct hub_client *client, const struct err *err)
{
	if (client->trouble == err->code)
		return; /* texts differ in their milliseconds alone */
	client->trouble = err->code;
	log_warn(NULL, "%s; trying again, containers go on", err->text);
}

static void note_answer(struct hub_client *client)
{
	if (client->trouble)
		log_info(NULL, "the hub answers again");
	client->trouble = ERR_OK;
}

static void describe_refusal(const struct hub_client *client, const struct http_result *result, struct err *err)
{
	const char *message = "";
	AUTO_JSON json_t *body = json_loadb(result->body, result->body_len, 0, NULL);
	json_t *error = json_object_get(body, "error");
	if (json_is_string(json_object_get(error, "message")))
		message = json_string_value(json_object_get(error, "message"));
	if (result->status == 401)
		(void)err_set(err, ERR_DENIED, "the hub at %s refuses our token: %s must have the hub's join_token (or its token)",
			      client->options.server_url, client->options.token_hint);
	else if (result->status == 403)
		(void)err_set(err, ERR_DENIED, "the hub at %s refuses our token: %s: %.200s", client->options.server_url,
			      client->options.token_hint, message);
	else
		(void)err_set(err, ERR_PROTOCOL, "the hub at %s answered %d %.200s", client->options.server_url,
			      result->status, message);
}

static char *make_authorization(const char *token)
{
	struct buf header;
	buf_init(&header, 8192);
	if (buf_printf(&header, "Authorization: Bearer %s", token)) {
		buf_done(&header);
		return NULL;
	}
	return buf_steal(&header);
}

static bool uses_secret(const struct hub_client *client)
{
	return client->own_authorization && !client->secret_refused;
}

/* After a 401 to the secret the token has its turn, and the other way round. True where it was the secret. */
static bool note_refusal(struct hub_client *client, const struct http_result *result)
{
	if (result->error || result->status != 401)
		return false;
	bool was_secret = uses_secret(client);
	if (was_secret && client->trouble != ERR_DENIED)
		log_warn(NULL, "the hub at %s does not take this node's secret (revoked, or lost with the hub's state); registering "
			       "anew with the token", client->options.server_url);
	client->secret_refused = was_secret;
	return was_secret;
}

/* The answer as JSON, or NULL with what went wrong. */
static json_t *read_answer(const struct hub_client *client, const struct http_result *result, struct err *err)
{
	if (result->error) {
		bool plain = strncasecmp(client->options.server_url, "http:", strlen("http:")) == 0;
		bool first = client->state == HUB_REGISTERING; /* later it is a hub that ended */
		(void)err_set(err, result->error, "the hub at %s %s: %s%s", client->options.server_url,
			      result->error == ERR_DENIED ? "is not trusted" : "does not answer", result->text,
			      result->hung_up && plain && first ? "; with TLS, server_url begins with https://" : "");
		return NULL;
	}
	if (result->status != 200) {
		describe_refusal(client, result, err);
		return NULL;
	}
	json_t *body = json_loadb(result->body, result->body_len, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
	if (!body)
		(void)err_set(err, ERR_PROTOCOL, "what answers at %s is not a hub: no JSON", client->options.server_url);
	return body;
}

static void repeat_after_error(struct hub_client *client, struct repeated *repeated, const struct err *err)
{
	note_trouble(client, err);
	repeat_in(repeated, backoff_next_ms(&repeated->backoff, random_u32()));
}

struct message {
	const char *method, *path, *content_type;
	const char *body;
	size_t body_len;
	int64_t timeout_ms;
	size_t max_body;
	void *context;
	void (*on_done)(void *context, const struct http_result *result);
};

static struct http_call *send_message(struct hub_client *client, const struct message *message)
{
	char content_type[128];
	struct buf url;
	buf_init(&url, 4096);
	size_t base_len = strlen(client->options.server_url);
	while (base_len > 0 && client->options.server_url[base_len - 1] == '/')
		base_len--;
	struct http_call *started = NULL;
	struct err err = {0};
	(void)snprintf(content_type, sizeof(content_type), "Content-Type: %s", message->content_type);
	if (buf_printf(&url, "%.*s%s", (int)base_len, client->options.server_url, message->path) == 0) {
		const char *authorization = uses_secret(client) ? client->own_authorization : client->authorization;
		/* Without "Expect": libcurl would wait a second for a 100 before a larger body. */
		const char *const headers[] = {authorization, content_type, "Expect:", NULL};
		const struct http_call_options options = {
			.method = message->method,
			.url = buf_text(&url),
			.headers = headers,
			.body = message->body,
			.body_len = message->body_len,
			.timeout_ms = message->timeout_ms,
			.max_body = message->max_body,
			.context = message->context,
			.on_done = message->on_done,
		};
		started = http_client_start(client->http, &options, &err);
	}
	buf_done(&url);
	if (!started)
		log_error(NULL, "cannot call the hub: %s", err.text);
	return started;
}

static struct http_call *call(struct hub_client *client, const char *method, const char *path, json_t *body,
			      int64_t timeout_ms, void (*on_done)(void *, const struct http_result *))
{
	AUTO_FREE char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
	const struct message message = {.method = method,
					.path = path,
					.content_type = "application/json",
					.body = text,
					.body_len = text ? strlen(text) : 0,
					.timeout_ms = timeout_ms,
					.max_body = BODY_MAX,
					.context = client,
					.on_done = on_done};
	return send_message(client, &message);
}

/* ---- the item pools' calls ---- */

static void *start_post(void *context, const struct hub_post *post)
{
	const struct message message = {.method = "POST",
					.path = post->path,
					.content_type = post->content_type,
					.body = post->body,
					.body_len = post->body_len,
					.timeout_ms = post->timeout_ms,
					.max_body = post->max_answer,
					.context = post->context,
					.on_done = post->on_done};
	return send_message(context, &message);
}

static void cancel_post(void *context, void *post)
{
	(void)context;
	http_call_cancel(post);
}

const struct hub_ops HUB_CLIENT_OPS = {.start = start_post, .cancel = cancel_post};

static void start_or_back_off(struct repeated *repeated, struct http_call *started)
{
	repeated->call = started;
	if (!started)
		repeat_in(repeated, backoff_next_ms(&repeated->backoff, random_u32()));
}

static void tell_stop(struct hub_client *client)
{
	if (client->stop_told)
		return;
	client->stop_told = true;
	log_info(NULL, "the hub asks this node to stop");
	client->options.on_stop(client->options.context);
}

/* ---- registration ---- */

static void register_again(struct hub_client *client)
{
	client->state = HUB_REGISTERING;
	client->version = -1;
	stop_repeating(&client->heartbeat);
	stop_repeating(&client->task);
	repeat_in(&client->registration, backoff_next_ms(&client->registration.backoff, random_u32()));
}

void hub_client_register_again(struct hub_client *client)
{
	if (client->state == HUB_SERVING)
		register_again(client);
}

/* 404, or 401 to our own secret: then a registration is under way. */
static bool is_unknown_to_hub(struct hub_client *client, const struct http_result *result)
{
	bool unknown = !result->error && result->status == 404;
	if (!unknown && !note_refusal(client, result))
		return false;
	if (unknown)
		log_warn(NULL, "the hub does not know this node any more; registering again");
	register_again(client);
	return true;
}

static void serve(struct hub_client *client)
{
	client->state = HUB_SERVING;
	client->version = -1;
	repeat_in(&client->heartbeat, 0);
	repeat_in(&client->task, 0);
}

/* From now on calls carry it. */
static bool take_secret(struct hub_client *client, const char *secret)
{
	char *authorization = make_authorization(secret);
	if (!authorization)
		return false;
	free(client->own_authorization);
	client->own_authorization = authorization;
	text_copy(client->secret, sizeof(client->secret), secret);
	client->secret_refused = false;
	return true;
}

static int read_registration(const struct hub_client *client, json_t *answer, struct hub_registration *registration,
			     struct err *err)
{
	json_int_t epoch = 0;
	const struct json_field fields[] = {
		{.name = "node_id", .type = JSON_FIELD_STRING, .into = &registration->node_id, .required = true, .max_len = NODE_ID_SIZE - 1},
		{.name = "node_secret", .type = JSON_FIELD_STRING, .into = &registration->new_secret, .max_len = LIMIT_NODE_SECRET},
		{.name = "epoch", .type = JSON_FIELD_INTEGER, .into = &epoch, .min = 1, .max = INT64_MAX},
	};
	bool ok = json_is_object(answer) &&
		  json_read_fields(answer, fields, sizeof(fields) / sizeof(fields[0]), false, err) == 0 &&
		  (!registration->new_secret || config_check_token(registration->new_secret, err) == 0);
	registration->epoch = epoch;
	return ok ? 0 : err_set(err, ERR_PROTOCOL, "what answers at %s is not a hub: no node_id, or none that can be one",
				client->options.server_url);
}

static void on_registered(void *context, const struct http_result *result)
{
	struct hub_client *client = context;
	struct err err = {0};
	struct hub_registration registration = {0};
	client->registration.call = NULL;
	if (note_refusal(client, result)) {
		repeat_in(&client->registration, backoff_next_ms(&client->registration.backoff, random_u32()));
		return;
	}
	AUTO_JSON json_t *answer = read_answer(client, result, &err);
	if (answer)
		(void)read_registration(client, answer, &registration, &err);
	if (err.code) {
		repeat_after_error(client, &client->registration, &err);
		return;
	}
	note_answer(client);
	text_copy(client->node_id, sizeof(client->node_id), registration.node_id);
	serve(client);
	bool kept = client->options.on_registered(client->options.context, &registration);
	bool needed = registration.new_secret && (kept || !uses_secret(client));
	if (needed && !take_secret(client, registration.new_secret))
		log_warn(NULL, "out of memory: going on without the node's new secret");
}

static void start_registration(struct hub_client *client)
{
	struct register_message message = client->options.registration;
	message.node_id = client->node_id[0] ? client->node_id : NULL;
	message.node_secret = uses_secret(client) ? client->secret : NULL;
	AUTO_JSON json_t *body = register_message_encode(&message);
	start_or_back_off(&client->registration,
			  body ? call(client, "POST", "/gridnode/register", body, CALL_TIMEOUT_MS, on_registered) : NULL);
}

/* ---- heartbeat ---- */

static void on_heartbeat_answer(struct hub_client *client, json_t *answer)
{
	note_answer(client);
	backoff_reset(&client->heartbeat.backoff);
	backoff_reset(&client->registration.backoff); /* not before: a hub may forget at once whom it registers */
	repeat_in(&client->heartbeat, client->report_pending ? REPORT_AGAIN_MS : client->options.heartbeat_interval_ms);
	if (json_is_true(json_object_get(answer, "stop_requested")))
		tell_stop(client);
}

static void on_heartbeat_done(void *context, const struct http_result *result)
{
	struct hub_client *client = context;
	struct err err = {0};
	client->heartbeat.call = NULL;
	if (is_unknown_to_hub(client, result))
		return;
	AUTO_JSON json_t *answer = read_answer(client, result, &err);
	if (answer)
		on_heartbeat_answer(client, answer);
	else
		repeat_after_error(client, &client->heartbeat, &err);
}

static struct http_call *send_heartbeat(struct hub_client *client, bool leaving, int64_t timeout_ms,
					void (*on_done)(void *, const struct http_result *))
{
	struct heartbeat_message message = {.leaving = leaving};
	client->options.fill_heartbeat(client->options.context, &message);
	message.node_id = client->node_id;
	AUTO_JSON json_t *body = heartbeat_message_encode(&message);
	return body ? call(client, "POST", "/gridnode/heartbeat", body, timeout_ms, on_done) : NULL;
}

static void start_heartbeat(struct hub_client *client)
{
	client->report_pending = false;
	start_or_back_off(&client->heartbeat, send_heartbeat(client, false, CALL_TIMEOUT_MS, on_heartbeat_done));
}

void hub_client_report_soon(struct hub_client *client)
{
	if (client->state != HUB_SERVING)
		return;
	if (client->heartbeat.call)
		client->report_pending = true;
	else if (client->heartbeat.backoff.attempt == 0 &&
		 uv_timer_get_due_in(&client->heartbeat.timer) > REPORT_SOON_MS)
		repeat_in(&client->heartbeat, REPORT_SOON_MS);
}

/* ---- the task call ---- */

/* A hub holds a call while there is no news. One that is answered at once without any was displaced by a newer call of the
 * same node: then two agents have one id, and asking again at once would displace the other in turn, for ever. */
static void repeat_task_call(struct hub_client *client, int64_t version, bool news)
{
	bool displaced = !news && version == client->version && clock_monotonic_ms() - client->task_asked_ms < DISPLACED_MS;
	int64_t pause_ms = displaced ? backoff_next_ms(&client->task.backoff, random_u32()) : 0;
	if (!displaced)
		backoff_reset(&client->task.backoff);
	else if (client->task.backoff.attempt == DISPLACED_TELL)
		log_warn(NULL, "another agent seems to use this node's id %s; give each agent a configuration of its own",
			 client->node_id);
	repeat_in(&client->task, pause_ms);
}

/* Whether that is new. */
static bool note_draining(struct hub_client *client, bool draining)
{
	if (client->draining == draining)
		return false;
	client->draining = draining;
	log_info(NULL, draining ? "the hub drains this node: what is open is finished, and nothing new runs until it is undrained"
				: "the hub lets this node work again");
	return true;
}

/* {"version", "stop_requested", "draining", "task"}. */
static void on_held_answer(struct hub_client *client, json_t *answer)
{
	int64_t version = json_integer_value(json_object_get(answer, "version"));
	if (json_is_true(json_object_get(answer, "stop_requested"))) {
		tell_stop(client); /* for good; the next call would be answered at once, and so on without a pause */
		return;
	}
	repeat_task_call(client, version, note_draining(client, json_is_true(json_object_get(answer, "draining"))));
	client->version = version;
	json_t *task = json_object_get(answer, "task");
	if (client->state == HUB_SERVING && task)
		client->options.on_task(client->options.context, task, version);
}

static void on_task_done(void *context, const struct http_result *result)
{
	struct hub_client *client = context;
	struct err err = {0};
	client->task.call = NULL;
	if (is_unknown_to_hub(client, result))
		return;
	AUTO_JSON json_t *answer = read_answer(client, result, &err);
	if (!answer) {
		repeat_after_error(client, &client->task, &err);
	} else {
		note_answer(client);
		if (json_is_integer(json_object_get(answer, "version"))) {
			on_held_answer(client, answer);
		} else {
			backoff_reset(&client->task.backoff);
			repeat_in(&client->task, SEED_POLL_MS);
			client->options.on_task(client->options.context, answer, -1);
		}
	}
}

static void start_task_call(struct hub_client *client)
{
	char path[512];
	int len = snprintf(path, sizeof(path), "/gridnode/task?platform=%s&node_id=%s&wait=%d&draining=%d", client->options.platform,
			   client->node_id, TASK_WAIT_S, client->draining);
	if (client->version >= 0)
		(void)snprintf(path + len, sizeof(path) - (size_t)len, "&version=%lld", (long long)client->version);
	client->task_asked_ms = clock_monotonic_ms();
	start_or_back_off(&client->task, call(client, "GET", path, NULL, TASK_TIMEOUT_MS, on_task_done));
}

/* ---- leaving ---- */

static void on_goodbye(void *context, const struct http_result *result)
{
	struct hub_client *client = context;
	client->heartbeat.call = NULL;
	if (result->error || result->status != 200)
		log_debug(NULL, "the hub was not told that we leave: %s", result->text);
	client->on_left(client->options.context);
}

static void on_nothing_to_say(struct hub_client *client)
{
	client->on_left(client->options.context);
}

void hub_client_leave(struct hub_client *client, void (*on_left)(void *context))
{
	bool known = client->state == HUB_SERVING && !client->trouble;
	stop_repeating(&client->registration);
	stop_repeating(&client->heartbeat);
	stop_repeating(&client->task);
	client->state = HUB_LEAVING;
	client->on_left = on_left;
	if (known)
		client->heartbeat.call = send_heartbeat(client, true, LEAVE_TIMEOUT_MS, on_goodbye);
	if (!client->heartbeat.call) {
		client->heartbeat.start = on_nothing_to_say;
		repeat_in(&client->heartbeat, 0);
	}
}

/* ---- construction ---- */

static void init_repeated(struct hub_client *client, struct repeated *repeated, uv_loop_t *loop,
			  void (*start)(struct hub_client *client))
{
	repeated->client = client;
	repeated->backoff = HUB_BACKOFF;
	repeated->start = start;
	(void)uv_timer_init(loop, &repeated->timer);
	repeated->timer.data = repeated;
	client->handles++;
}

struct hub_client *hub_client_new(uv_loop_t *loop, struct http_client *http, const struct hub_client_options *options)
{
	struct hub_client *client = calloc(1, sizeof(*client));
	char *authorization = make_authorization(options->token);
	if (!client || !authorization) {
		free(client);
		free(authorization);
		return NULL;
	}
	client->http = http;
	client->options = *options;
	client->authorization = authorization;
	client->version = -1;
	text_copy(client->node_id, sizeof(client->node_id), options->node_id);
	if (options->node_secret[0] && !take_secret(client, options->node_secret)) {
		free(client->authorization);
		free(client);
		return NULL;
	}
	init_repeated(client, &client->registration, loop, start_registration);
	init_repeated(client, &client->heartbeat, loop, start_heartbeat);
	init_repeated(client, &client->task, loop, start_task_call);
	repeat_in(&client->registration, 0);
	return client;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct repeated *repeated = handle->data;
	struct hub_client *client = repeated->client;
	if (--client->handles > 0)
		return;
	free(client->authorization);
	free(client->own_authorization);
	free(client);
}

void hub_client_close(struct hub_client *client)
{
	if (!client)
		return;
	struct repeated *all[] = {&client->registration, &client->heartbeat, &client->task};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		stop_repeating(all[i]);
		uv_close((uv_handle_t *)&all[i]->timer, on_timer_closed);
	}
}
