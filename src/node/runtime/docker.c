/* Owns the connection to the engine: finding it, noticing its loss, finding it again. Called by the node through the
 * operations table. Never touches a container itself: workers, images and orphans do.
 *
 *   SEARCHING ──a socket──> ASKING ──version──> LEARNING ──info──> WATCHING ──headers──> CLEARING ──> READY
 *     ^  │                    │ of no use: the next socket            (GET /events)      (orphans)      │
 *     │  │ no socket is left  v                                                                         │
 *     │  └────────────────> RESTING <──────────────── any of these failed, the event stream ended ──────┘
 *     └───after a while────────┘
 *
 * The event stream is the sign of life: it lasts as long as the engine does, and its end is the loss. What it carries
 * (the kernel killed something for its memory) is handed to the workers. An engine that hangs keeps the stream open, so
 * READY asks for the version now and then, and a missing answer is a loss too. */
#include "node/runtime/docker.h"

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/random.h"
#include "node/runtime/container.h"
#include "node/runtime/engine_host.h"
#include "node/runtime/engine_identity.h"
#include "node/runtime/engine_socket.h"
#include "node/runtime/image.h"
#include "node/runtime/json_lines.h"
#include "node/runtime/orphans.h"
#include "node/runtime/place.h"
#include "node/runtime/signal_name.h"
#include "proto/node_messages.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	ASK_TIMEOUT_MS = 15000,
	WATCH_TIMEOUT_MS = 15000,
	PING_MS = 15000,
	REST_BASE_MS = 1000,
	REST_MAX_MS = 30000,
	EVENT_LINE_MAX = 256 * 1024,
};

enum runtime_state {
	RUNTIME_SEARCHING, /* for the loop's next turn */
	RUNTIME_ASKING,    /* for the answer to GET /version */
	RUNTIME_LEARNING,  /* for the answer to GET /info */
	RUNTIME_WATCHING,  /* for the headers of GET /events */
	RUNTIME_CLEARING,  /* for the removal of orphans */
	RUNTIME_READY,     /* for the end of the event stream, or a ping without an answer */
	RUNTIME_RESTING,   /* for the time to search again */
	RUNTIME_CLOSED,    /* for the loop to let go of the timer */
};

struct runtime {
	struct engine_host host;
	struct runtime_events events;
	enum runtime_state state;
	uv_timer_t timer;
	struct backoff backoff;
	struct engine_sockets sockets;
	const char *socket_path; /* within sockets; from ASKING on */
	struct engine_identity identity; /* from LEARNING on */
	struct engine_call *call;
	struct engine_call *watch; /* the event stream */
	struct json_lines lines;
	struct orphans *orphans;
	bool lost_told; /* since it was ready last */
};

static void on_timer(uv_timer_t *timer);

/* ---- losing ---- */

static void cancel_calls(struct runtime *runtime)
{
	engine_cancel(steal(runtime->call));
	engine_cancel(steal(runtime->watch));
	orphans_cancel(steal(runtime->orphans));
	json_lines_done(&runtime->lines);
	json_lines_init(&runtime->lines, EVENT_LINE_MAX);
}

static void lose(struct runtime *runtime, const struct err *err)
{
	struct err why = *err; /* it may lie in what is freed now */
	cancel_calls(runtime);
	runtime->host.ready = false;
	runtime->host.lost = why;
	runtime->state = RUNTIME_RESTING;
	int64_t rest_ms = backoff_next_ms(&runtime->backoff, random_u32());
	(void)uv_timer_start(&runtime->timer, on_timer, (uint64_t)rest_ms, 0);
	if (runtime->lost_told) {
		log_debug("runtime", "still no engine: %s", why.text);
		return;
	}
	runtime->lost_told = true;
	runtime->events.on_lost(runtime->events.context, &why);
}

/* ---- READY and CLEARING ---- */

static struct engine_call *ask(struct runtime *runtime, const char *path,
			       void (*on_answer)(void *, const struct engine_answer *), struct err *err)
{
	struct engine_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = ASK_TIMEOUT_MS,
		.context = runtime,
		.on_answer = on_answer,
	};
	return engine_start(runtime->host.engine, &request, err);
}

static void on_pinged(void *context, const struct engine_answer *answer)
{
	struct runtime *runtime = context;
	struct err err;
	runtime->call = NULL;
	if (answer->status) { /* whatever it says, it speaks */
		(void)uv_timer_start(&runtime->timer, on_timer, PING_MS, 0);
		return;
	}
	(void)err_set(&err, ERR_TIMEOUT, "%s: the engine does not answer: it hangs, or its machine is overloaded "
					 "(systemctl status docker)", runtime->socket_path);
	lose(runtime, &err);
}

static void ping(struct runtime *runtime)
{
	struct err err;
	runtime->call = ask(runtime, "/version", on_pinged, &err);
	if (!runtime->call)
		lose(runtime, &err);
}

static void become_ready(struct runtime *runtime)
{
	char what[256];
	(void)snprintf(what, sizeof(what), "%s %s (API %s) at %s", runtime->identity.product, runtime->identity.version,
		       runtime->identity.api, runtime->socket_path);
	runtime->state = RUNTIME_READY;
	runtime->host.ready = true;
	runtime->lost_told = false;
	backoff_reset(&runtime->backoff);
	(void)uv_timer_start(&runtime->timer, on_timer, PING_MS, 0);

	container_all_engine_ready(&runtime->host);
	runtime->events.on_ready(runtime->events.context, what);
}

static void on_orphans_removed(void *context, unsigned removed, const struct err *err)
{
	struct runtime *runtime = context;
	runtime->orphans = NULL;
	if (err) {
		lose(runtime, err);
		return;
	}
	if (removed)
		log_info("runtime", "removed %u container%s that an earlier run had left", removed,
			 removed == 1 ? "" : "s");
	become_ready(runtime);
}

static void begin_clearing(struct runtime *runtime)
{
	struct err err;
	runtime->state = RUNTIME_CLEARING;
	runtime->orphans = orphans_remove(&runtime->host, on_orphans_removed, runtime, &err);
	if (!runtime->orphans)
		lose(runtime, &err);
}

/* ---- WATCHING ---- */

/* The engine tells it as text; SIGKILL where it does not tell. */
static int signal_of(const json_t *event)
{
	const json_t *attributes = json_object_get(json_object_get(event, "Actor"), "Attributes");
	const char *text = json_string_value(json_object_get(attributes, "signal"));
	return text ? signal_number(text) : SIGKILL;
}

static int on_event(void *context, json_t *event)
{
	struct runtime *runtime = context;
	const char *action = json_string_value(json_object_get(event, "Action"));
	const char *id = json_string_value(json_object_get(json_object_get(event, "Actor"), "ID"));
	if (action && id && strcmp(action, "oom") == 0)
		container_note_out_of_memory(&runtime->host, id);
	else if (action && id && strcmp(action, "kill") == 0)
		container_note_signal(&runtime->host, id, signal_of(event));
	return 0;
}

static void on_watch_headers(void *context, int status)
{
	struct runtime *runtime = context;
	if (runtime->state != RUNTIME_WATCHING || status / 100 != 2)
		return;
	(void)uv_timer_stop(&runtime->timer);
	begin_clearing(runtime);
}

static void on_watch_data(void *context, const char *bytes, size_t len)
{
	struct runtime *runtime = context;
	/* An event that cannot be read costs no more than itself: the stream counts as a sign of life. */
	if (json_lines_feed(&runtime->lines, bytes, len, on_event, runtime)) {
		json_lines_done(&runtime->lines);
		json_lines_init(&runtime->lines, EVENT_LINE_MAX);
	}
}

static void on_watch_over(void *context, const struct engine_answer *answer)
{
	struct runtime *runtime = context;
	struct err err;
	runtime->watch = NULL;
	if (answer->status)
		(void)err_set(&err, ERR_PROTOCOL, "%s: the engine does not tell its events: %s", runtime->socket_path,
			      answer->err ? answer->err->text : "it ended their stream");
	else
		(void)err_set(&err, ERR_UNREACHABLE,
			      "%s: the engine closed the connection: it stopped or restarts (systemctl status docker)",
			      runtime->socket_path);
	lose(runtime, &err);
}

static int events_path(struct runtime *runtime, struct buf *path)
{
	static const char *const WATCHED[] = {"oom", "kill", NULL};
	AUTO_FREE char *filter = engine_host_filter(&runtime->host, WATCHED);
	int rc = filter ? buf_printf(path, "/events") : ERR_NOMEM;
	return rc ? rc : engine_query(path, "filters", filter);
}

static void begin_watching(struct runtime *runtime)
{
	struct err err = {0};
	struct buf path;
	buf_init(&path, 16 * 1024);
	runtime->state = RUNTIME_WATCHING;
	if (events_path(runtime, &path)) {
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	} else {
		struct engine_request request = {
			.method = "GET",
			.path = buf_text(&path),
			.context = runtime,
			.on_headers = on_watch_headers,
			.on_data = on_watch_data,
			.on_answer = on_watch_over,
		};
		runtime->watch = engine_start(runtime->host.engine, &request, &err);
	}
	buf_done(&path);
	if (runtime->watch)
		(void)uv_timer_start(&runtime->timer, on_timer, WATCH_TIMEOUT_MS, 0);
	else
		lose(runtime, &err);
}

/* ---- LEARNING ---- */

static void on_info(void *context, const struct engine_answer *answer)
{
	struct runtime *runtime = context;
	runtime->call = NULL;
	if (answer->err) {
		lose(runtime, answer->err);
		return;
	}
	const char *warning = engine_features_read(&runtime->host.features, answer->json, runtime->identity.podman);
	if (warning)
		engine_host_warn(&runtime->host, "%s", warning);
	runtime->host.containers_outlive_it = json_is_true(json_object_get(answer->json, "LiveRestoreEnabled"));
	begin_watching(runtime);
}

static void begin_learning(struct runtime *runtime)
{
	struct err err;
	runtime->state = RUNTIME_LEARNING;
	if (engine_connect(runtime->host.engine, runtime->socket_path, runtime->identity.api))
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else
		runtime->call = ask(runtime, "/info", on_info, &err);
	if (!runtime->call)
		lose(runtime, &err);
}

/* ---- SEARCHING and ASKING ---- */

static void try_next_socket(struct runtime *runtime);

static void on_version(void *context, const struct engine_answer *answer)
{
	struct runtime *runtime = context;
	struct err err = {0};
	runtime->call = NULL;
	if (answer->err)
		err = *answer->err;
	if (answer->err || engine_identity_read(&runtime->identity, answer->json, &err)) {
		engine_sockets_reject(&runtime->sockets, &err);
		try_next_socket(runtime);
		return;
	}
	begin_learning(runtime);
}

static void try_next_socket(struct runtime *runtime)
{
	struct err err;
	runtime->socket_path = engine_sockets_next(&runtime->sockets);
	if (!runtime->socket_path) {
		(void)engine_sockets_explain(&runtime->sockets, &err);
		lose(runtime, &err);
		return;
	}
	runtime->state = RUNTIME_ASKING;
	if (engine_connect(runtime->host.engine, runtime->socket_path, NULL))
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	else
		runtime->call = ask(runtime, "/version", on_version, &err);
	if (!runtime->call)
		lose(runtime, &err);
}

static void search(struct runtime *runtime)
{
	struct err err;
	runtime->state = RUNTIME_SEARCHING;
	if (engine_sockets_list(&runtime->sockets, runtime->host.options.engine_host, &err))
		lose(runtime, &err);
	else
		try_next_socket(runtime);
}

static void on_timer(uv_timer_t *timer)
{
	struct runtime *runtime = timer->data;
	struct err err;
	if (runtime->state == RUNTIME_WATCHING) {
		(void)err_set(&err, ERR_TIMEOUT, "%s: the engine did not answer in %d s", runtime->socket_path,
			      WATCH_TIMEOUT_MS / 1000);
		lose(runtime, &err);
	} else if (runtime->state == RUNTIME_READY) {
		ping(runtime);
	} else {
		search(runtime);
	}
}

/* ---- the caller's side ---- */

static struct runtime *docker_open(uv_loop_t *loop, const struct runtime_options *options,
				   const struct runtime_events *events, struct err *err)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	if (!runtime) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	int rc = engine_host_init(&runtime->host, loop, options, err);
	if (rc == 0) /* an address that can never work is better told now */
		rc = engine_sockets_list(&runtime->sockets, options->engine_host, err);
	if (rc == 0) {
		runtime->host.engine = engine_new(loop);
		if (!runtime->host.engine)
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	if (rc) {
		engine_host_done(&runtime->host);
		free(runtime);
		return NULL;
	}
	runtime->events = *events;
	runtime->backoff = BACKOFF(REST_BASE_MS, REST_MAX_MS);
	json_lines_init(&runtime->lines, EVENT_LINE_MAX);
	(void)uv_timer_init(loop, &runtime->timer);
	runtime->timer.data = runtime;
	(void)uv_timer_start(&runtime->timer, on_timer, 0, 0);
	return runtime;
}

/* Runs at the end of a turn of the loop: nothing of the engine's client is on the stack. */
static void on_timer_closed(uv_handle_t *handle)
{
	struct runtime *runtime = handle->data;
	engine_close(runtime->host.engine);
	engine_host_done(&runtime->host);
	json_lines_done(&runtime->lines);
	free(runtime);
}

static void docker_close(struct runtime *runtime)
{
	if (!runtime || runtime->state == RUNTIME_CLOSED)
		return;
	runtime->state = RUNTIME_CLOSED;
	cancel_calls(runtime);
	place_drop_all(&runtime->host);
	container_drop_all(&runtime->host);
	image_cancel_all(&runtime->host);
	uv_close((uv_handle_t *)&runtime->timer, on_timer_closed);
}

static struct image_call *docker_prepare_image(struct runtime *runtime, const char *image, const char *platform,
					       const struct image_events *events, struct err *err)
{
	return image_prepare(&runtime->host, image, platform, events, err);
}

static struct worker *docker_start(struct runtime *runtime, const struct worker_spec *spec,
				   const struct worker_events *events, struct err *err)
{
	return container_start(&runtime->host, spec, events, err);
}

static struct place *docker_open_place(struct runtime *runtime, const struct place_spec *spec,
				       const struct place_events *events, struct err *err)
{
	return place_open(&runtime->host, spec, events, err);
}

const struct runtime_ops docker_runtime = {
	.name = RUNTIME_DOCKER,
	.noun = "container",
	.open = docker_open,
	.close = docker_close,
	.prepare_image = docker_prepare_image,
	.cancel_image = image_cancel,
	.start = docker_start,
	.signal = container_signal,
	.remove = container_remove,
	.open_place = docker_open_place,
	.place_address = place_address,
	.close_place = place_close,
};
