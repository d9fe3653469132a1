/* Owns one container's life from its first wish to its removal: the machine whose picture is in container_life.h.
 * Called by the slots through the operations table, and by the runtime when the engine comes and goes. Never leaves a
 * container behind without telling.
 *
 * A wish (remove, signal) only notes itself. It is heard on the loop's next turn, or when the call under way that
 * must not be left in doubt (create, start, clear) is answered. */
#include "node/runtime/container_life.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/random.h"
#include "node/runtime/container_spec.h"
#include "node/runtime/image_name.h"
#include "node/runtime/place.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

enum {
	RETRY_BASE_MS = 250,
	RETRY_MAX_MS = 10000,
	REMOVAL_ATTEMPTS_MAX = 12,
	ENGINE_AWAY_MS = 10000, /* how long a removal waits for an engine that is away: a restart takes less */
};

/* ---- ends ---- */

static void free_worker(struct worker *worker)
{
	free(worker->name);
	free(worker->platform);
	free(worker->cpus);
	json_decref(worker->body);
	free(worker);
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct worker *worker = handle->data;
	if (--worker->open_handles == 0)
		free_worker(worker);
}

static void cancel_calls(struct worker *worker)
{
	engine_cancel(steal(worker->call));
	engine_cancel(steal(worker->wait));
	engine_cancel(steal(worker->kill));
	engine_cancel(steal(worker->look));
	container_removal_cancel(steal(worker->removal));
	container_inquest_cancel(steal(worker->inquest));
}

static void let_go(struct worker *worker)
{
	if (worker->state == CONTAINER_GONE)
		return;
	worker->state = CONTAINER_GONE;
	cancel_calls(worker);
	DL_DELETE(worker->host->workers, worker);
	uv_close((uv_handle_t *)&worker->turn, on_timer_closed);
	uv_close((uv_handle_t *)&worker->pause, on_timer_closed);
}

static void finish(struct worker *worker, const struct err *err)
{
	let_go(worker);
	worker->events.on_removed(worker->events.context, err);
}

void container_fail(struct worker *worker, const struct err *err)
{
	engine_cancel(steal(worker->wait));
	container_enter(worker, CONTAINER_FAILED);
	if (worker->remove_wanted) {
		container_enter(worker, CONTAINER_REMOVING);
		return;
	}
	worker->events.on_started(worker->events.context, err);
}

void container_fail_cancelled(struct worker *worker)
{
	struct err err;
	(void)err_set(&err, ERR_CANCELLED, "container %s was to end before it was started", worker->name);
	container_fail(worker, &err);
}

/* ---- calls ---- */

static void on_pause_over(uv_timer_t *timer);

void container_pause_for(struct worker *worker, int64_t ms)
{
	(void)uv_timer_start(&worker->pause, on_pause_over, (uint64_t)ms, 0);
}

void container_pause_longer(struct worker *worker)
{
	container_pause_for(worker, backoff_next_ms(&worker->backoff, random_u32()));
}

struct engine_call *container_call(struct worker *worker, const char *method, const char *suffix,
					  int64_t timeout_ms, void (*on_headers)(void *, int),
					  void (*on_answer)(void *, const struct engine_answer *), struct err *err)
{
	char path[CONTAINER_ID_MAX + 64];
	(void)snprintf(path, sizeof(path), "/containers/%s/%s", worker->id, suffix);
	struct engine_request request = {
		.method = method,
		.path = path,
		.timeout_ms = timeout_ms,
		.context = worker,
		.on_headers = on_headers,
		.on_answer = on_answer,
	};
	return engine_start(worker->host->engine, &request, err);
}

/* ---- REMOVING ---- */

static void on_removal_done(void *context, const struct err *err)
{
	struct worker *worker = context;
	worker->removal = NULL;
	if (!err || err->code == ERR_EXISTS) {
		finish(worker, NULL); /* what is not ours was never of this worker */
	} else if (worker->backoff.attempt < REMOVAL_ATTEMPTS_MAX) {
		log_debug("runtime", "container %s: removal: %s", worker->name, err->text);
		container_pause_longer(worker);
	} else {
		struct err told = *err;
		(void)err_wrap(&told, "container %s cannot be removed", worker->name);
		finish(worker, &told);
	}
}

static void begin_removing(struct worker *worker)
{
	struct err err;
	cancel_calls(worker);
	(void)uv_timer_stop(&worker->pause);
	if (worker->made == MADE_NOTHING) {
		finish(worker, NULL);
		return;
	}
	worker->waits_for_engine = !worker->host->ready;
	if (worker->waits_for_engine) {
		container_pause_for(worker, ENGINE_AWAY_MS);
		return;
	}
	bool ours = worker->made == MADE;
	worker->removal = container_removal_start(worker->host, ours ? worker->id : worker->name, !ours,
						  on_removal_done, worker, &err);
	if (!worker->removal)
		container_pause_longer(worker);
}

/* The time to try again has come; or the engine stayed away for too long: orphans.c will find the container. */
static void go_on_removing(struct worker *worker)
{
	if (!worker->waits_for_engine || worker->host->ready) {
		container_enter(worker, CONTAINER_REMOVING);
		return;
	}
	struct err err = worker->host->lost;
	(void)err_wrap(&err, "container %s is left until the engine is back", worker->name);
	finish(worker, &err);
}

/* ---- the machine ---- */

void container_enter(struct worker *worker, enum container_state state)
{
	if (state != worker->state && (state == CONTAINER_REMOVING || state == CONTAINER_CLEARING))
		backoff_reset(&worker->backoff);
	worker->state = state;
	switch (state) {
	case CONTAINER_CREATING:
		container_begin_creating(worker);
		break;
	case CONTAINER_CLEARING:
		container_begin_clearing(worker);
		break;
	case CONTAINER_REGISTERING:
		container_begin_registering(worker);
		break;
	case CONTAINER_STARTING:
		container_begin_starting(worker);
		break;
	case CONTAINER_RUNNING:
		container_begin_running(worker);
		break;
	case CONTAINER_ADRIFT:
		container_pause_longer(worker);
		break;
	case CONTAINER_INQUEST:
		container_begin_inquest(worker);
		break;
	case CONTAINER_REMOVING:
		begin_removing(worker);
		break;
	case CONTAINER_FAILED:
	case CONTAINER_EXITED:
		(void)uv_timer_stop(&worker->pause);
		break;
	case CONTAINER_QUEUED:
	case CONTAINER_GONE:
		break;
	}
}

static void on_pause_over(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	switch (worker->state) {
	case CONTAINER_REGISTERING:
		container_give_up_registering(worker);
		break;
	case CONTAINER_RUNNING:
		container_send_signal(worker);
		break;
	case CONTAINER_ADRIFT:
		if (worker->host->ready)
			container_enter(worker, CONTAINER_INQUEST);
		break;
	case CONTAINER_INQUEST:
		container_enter(worker, CONTAINER_INQUEST);
		break;
	case CONTAINER_CLEARING:
		container_enter(worker, CONTAINER_CLEARING);
		break;
	case CONTAINER_REMOVING:
		go_on_removing(worker);
		break;
	default:
		break;
	}
}

static void hear_that_engine_is_ready(struct worker *worker)
{
	backoff_reset(&worker->backoff);
	if (worker->state == CONTAINER_ADRIFT) {
		container_enter(worker, CONTAINER_INQUEST);
	} else if (worker->state == CONTAINER_REMOVING && !worker->removal) {
		container_enter(worker, CONTAINER_REMOVING);
	}
}

/* Hears the wishes. */
static void on_turn(uv_timer_t *timer)
{
	struct worker *worker = timer->data;
	bool ending = worker->remove_wanted || worker->signal_wanted != NO_SIGNAL;
	switch (worker->state) {
	case CONTAINER_QUEUED:
		if (worker->remove_wanted)
			container_enter(worker, CONTAINER_REMOVING);
		else if (ending)
			container_fail_cancelled(worker);
		else
			container_enter(worker, CONTAINER_CREATING);
		break;
	case CONTAINER_CREATING:
	case CONTAINER_STARTING:
	case CONTAINER_REMOVING:
	case CONTAINER_GONE:
		break; /* heard when the call under way is answered */
	case CONTAINER_CLEARING:
		if (worker->remove_wanted && !worker->removal)
			container_enter(worker, CONTAINER_REMOVING);
		break;
	case CONTAINER_REGISTERING:
		if (ending)
			container_fail_cancelled(worker); /* which removes, if that is the wish */
		break;
	default:
		if (worker->remove_wanted)
			container_enter(worker, CONTAINER_REMOVING);
		else if (worker->state == CONTAINER_RUNNING)
			container_send_signal(worker);
		break;
	}
}

static void have_a_turn(struct worker *worker)
{
	(void)uv_timer_start(&worker->turn, on_turn, 0, 0);
}

/* ---- the caller's side ---- */

static int run_exec(struct engine_host *host, json_t *body, struct err *err)
{
	const char *program = engine_host_exec_program(host, err);
	if (!program)
		return (int)err->code;
	return container_spec_run_exec(body, program) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

/* The body that the engine is to get, or NULL with err set. */
static json_t *describe(struct engine_host *host, const struct worker_spec *spec, struct err *err)
{
	struct image_name image;
	if (image_name_parse(spec->image, &image, err))
		return NULL;
	AUTO_JSON json_t *body = container_spec_body(spec, image.full, &host->options, err);
	if (body && spec->exec && run_exec(host, body, err))
		return NULL;
	if (!body || !spec->place)
		return steal(body);
	return place_join(spec->place, body, err) ? NULL : steal(body);
}

/* Takes the body over. */
static struct worker *begin(struct engine_host *host, const struct worker_spec *spec, json_t *body,
			    const struct worker_events *events, struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker) {
		json_decref(body);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	worker->host = host;
	worker->events = *events;
	worker->signal_wanted = NO_SIGNAL;
	worker->backoff = BACKOFF(RETRY_BASE_MS, RETRY_MAX_MS);
	worker->body = body;
	worker->name = strdup(spec->name);
	worker->platform = strdup(spec->platform ? spec->platform : "");
	worker->cpus = strdup(spec->cpus ? spec->cpus : "");
	if (!worker->name || !worker->platform || !worker->cpus || !engine_is_name(worker->name)) {
		(void)err_set(err, ERR_INVALID, "\"%s\" cannot be a container's name", spec->name);
		free_worker(worker);
		return NULL;
	}
	(void)uv_timer_init(host->loop, &worker->turn); /* never fails (libuv documentation) */
	(void)uv_timer_init(host->loop, &worker->pause);
	worker->turn.data = worker->pause.data = worker;
	worker->open_handles = 2;
	DL_APPEND(host->workers, worker);
	have_a_turn(worker);
	return worker;
}

struct worker *container_start(struct engine_host *host, const struct worker_spec *spec,
			       const struct worker_events *events, struct err *err)
{
	json_t *body = describe(host, spec, err);
	return body ? begin(host, spec, body, events, err) : NULL;
}

struct worker *container_start_described(struct engine_host *host, const char *name, json_t *body,
					 const struct worker_events *events, struct err *err)
{
	const struct worker_spec spec = {.name = name};
	return begin(host, &spec, body, events, err);
}

const char *container_id(const struct worker *worker)
{
	return worker->state == CONTAINER_RUNNING || worker->state == CONTAINER_ADRIFT ? worker->id : NULL;
}

void container_signal(struct worker *worker, enum worker_signal signal)
{
	if ((int)signal > worker->signal_wanted)
		worker->signal_wanted = (int)signal;
	have_a_turn(worker);
}

void container_remove(struct worker *worker)
{
	worker->remove_wanted = true;
	have_a_turn(worker);
}

void container_drop_all(struct engine_host *host)
{
	while (host->workers)
		let_go(host->workers);
}

void container_all_engine_ready(struct engine_host *host)
{
	struct worker *worker;
	DL_FOREACH (host->workers, worker)
		hear_that_engine_is_ready(worker);
}
