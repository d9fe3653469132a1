/* Owns a container's way from its description to a running process. Called by the machine in container.c. Never
 * starts anything that nobody watches: the exit is waited for before the start.
 *
 * Happy path: create; ask to be told of the next exit (`wait`), and when the answer's headers are there, that is
 * registered; start. (A wait for "not running" would be answered at once by a container that was never started.)
 *
 * What can go wrong: the name is taken, by an earlier run of ours (cleared, once more) or by somebody else (failed).
 * The engine lacks an init or another thing that workers can do without: learnt from its refusal of create or start,
 * and created anew without it. The start is refused for a bad command: failed, and the container is still to be
 * removed. The container ends before start is answered: wait tells, and that is kept until it is. */
#include "node/runtime/container_life.h"

#include "base/cleanup.h"
#include "node/runtime/container_spec.h"

#include <stdio.h>
#include <string.h>

enum {
	CREATE_TIMEOUT_MS = 120000, /* a small machine with a slow disk */
	START_TIMEOUT_MS = 120000,
	REGISTER_TIMEOUT_MS = 15000,
	NAME_TAKEN_MAX = 2,
	CLEARING_ATTEMPTS_MAX = 12, /* with waits up to ten seconds: more than a minute */
};

/* A refusal that means a missing feature which workers can do without: noted, warned of once, and true if this
 * container asked for it (another may have learnt it meanwhile). */
static bool learn(struct worker *worker, const struct err *err)
{
	struct engine_host *host = worker->host;
	const char *warning;
	enum engine_feature feature = engine_features_missing(err->text, &warning);
	if (feature == ENGINE_FEATURES || !container_spec_asks_for(worker->body, feature))
		return false;
	if (!host->features.lacks[feature])
		engine_host_warn(host, "%s", warning);
	host->features.lacks[feature] = true;
	return true;
}

/* Its refusal names our file: what we see is not what it sees. */
static void explain(const struct worker *worker, struct err *err)
{
	const char *program = worker->host->exec_program;
	if (program && strstr(err->text, program))
		(void)err_wrap(err, "the engine does not see gridnode's files, and cannot run exec tasks: it must be on the same machine, and "
				    "see the same directories");
}

/* ---- CREATING ---- */

static void warn_of(struct worker *worker, const json_t *warnings)
{
	size_t i;
	const json_t *warning;
	json_array_foreach (warnings, i, warning) {
		if (json_is_string(warning))
			engine_host_warn(worker->host, "the engine warns: %s", json_string_value(warning));
	}
}

static void on_refused(struct worker *worker, const struct engine_answer *answer)
{
	/* An engine that gave no clear answer may still have made it. */
	worker->made = answer->status >= 400 && answer->status < 500 ? MADE_NOTHING : MADE_PERHAPS;
	struct err err = *answer->err;
	explain(worker, &err);
	if (worker->remove_wanted)
		container_enter(worker, CONTAINER_REMOVING);
	else if (err.code == ERR_EXISTS && worker->name_taken++ < NAME_TAKEN_MAX)
		container_enter(worker, CONTAINER_CLEARING);
	else if (answer->status && learn(worker, &err))
		container_enter(worker, CONTAINER_CREATING);
	else
		container_fail(worker, &err);
}

static void on_created(void *context, const struct engine_answer *answer)
{
	struct worker *worker = context;
	worker->call = NULL;
	if (answer->err) {
		on_refused(worker, answer);
		return;
	}
	const char *id = json_string_value(json_object_get(answer->json, "Id"));
	if (!engine_is_name(id) || strlen(id) >= CONTAINER_ID_MAX) {
		struct err err;
		(void)err_set(&err, ERR_PROTOCOL, "the engine made container %s, but told no id", worker->name);
		container_fail(worker, &err);
		return;
	}
	memcpy(worker->id, id, strlen(id) + 1);
	worker->made = MADE;
	warn_of(worker, json_object_get(answer->json, "Warnings"));
	if (worker->remove_wanted)
		container_enter(worker, CONTAINER_REMOVING);
	else if (worker->signal_wanted != NO_SIGNAL)
		container_fail_cancelled(worker);
	else
		container_enter(worker, CONTAINER_REGISTERING);
}

void container_begin_creating(struct worker *worker)
{
	if (!worker->host->ready) {
		struct err err = worker->host->lost;
		container_fail(worker, &err);
		return;
	}
	container_spec_strip(worker->body, &worker->host->features);
	struct err err = {0};
	struct buf path;
	buf_init(&path, 4096);
	int rc = buf_printf(&path, "/containers/create");
	if (rc == 0)
		rc = engine_query(&path, "name", worker->name);
	if (rc == 0 && worker->platform[0])
		rc = engine_query(&path, "platform", worker->platform);
	if (rc)
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	struct engine_request request = {
		.method = "POST",
		.path = buf_text(&path),
		.body = worker->body,
		.timeout_ms = CREATE_TIMEOUT_MS,
		.context = worker,
		.on_answer = on_created,
	};
	if (rc == 0)
		worker->call = engine_start(worker->host->engine, &request, &err);
	buf_done(&path);
	if (!worker->call)
		container_fail(worker, &err);
}

/* ---- CLEARING ---- */

static void on_cleared(void *context, const struct err *err)
{
	struct worker *worker = context;
	worker->removal = NULL;
	if (!err) {
		worker->made = MADE_NOTHING;
		container_enter(worker, worker->remove_wanted ? CONTAINER_REMOVING : CONTAINER_CREATING);
	} else if (err->code == ERR_STATE && !worker->remove_wanted &&
		   worker->backoff.attempt < CLEARING_ATTEMPTS_MAX) {
		container_pause_longer(worker);
	} else {
		if (err->code == ERR_EXISTS)
			worker->made = MADE_NOTHING;
		container_fail(worker, err);
	}
}

void container_begin_clearing(struct worker *worker)
{
	struct err err;
	bool ours = worker->made == MADE;
	worker->removal = container_removal_start(worker->host, ours ? worker->id : worker->name, !ours, on_cleared,
						  worker, &err);
	if (!worker->removal)
		container_fail(worker, &err);
}

/* ---- REGISTERING, and what wait tells at any time after ---- */

static void on_wait_headers(void *context, int status)
{
	struct worker *worker = context;
	if (worker->state == CONTAINER_REGISTERING && status / 100 == 2)
		container_enter(worker, CONTAINER_STARTING);
}

static void on_wait_over(void *context, const struct engine_answer *answer)
{
	struct worker *worker = context;
	const json_t *status = json_object_get(answer->json, "StatusCode");
	worker->wait = NULL;
	if (!answer->err && json_is_integer(status) && json_integer_value(status) >= 0) {
		worker->exit_known = true;
		worker->exit_status = (int)json_integer_value(status);
	}
	if (worker->state == CONTAINER_REGISTERING) {
		struct err err;
		(void)err_set(&err, ERR_PROTOCOL, "the engine did not wait for container %s", worker->name);
		if (answer->err)
			err = *answer->err;
		container_fail(worker, &err);
	} else if (worker->state == CONTAINER_RUNNING) {
		container_enter(worker, worker->exit_known ? CONTAINER_INQUEST : CONTAINER_ADRIFT);
	}
}

bool container_open_wait(struct worker *worker, const char *condition, struct err *err)
{
	char suffix[64];
	(void)snprintf(suffix, sizeof(suffix), "wait?condition=%s", condition);
	worker->wait = container_call(worker, "POST", suffix, 0, on_wait_headers, on_wait_over, err);
	return worker->wait != NULL;
}

void container_begin_registering(struct worker *worker)
{
	struct err err;
	worker->exit_known = false;
	if (container_open_wait(worker, "next-exit", &err))
		container_pause_for(worker, REGISTER_TIMEOUT_MS);
	else
		container_fail(worker, &err);
}

void container_give_up_registering(struct worker *worker)
{
	struct err err;
	(void)err_set(&err, ERR_TIMEOUT, "the engine did not answer in %d s about container %s",
		      REGISTER_TIMEOUT_MS / 1000, worker->name);
	container_fail(worker, &err);
}

/* ---- STARTING ---- */

static void on_start_answered(void *context, const struct engine_answer *answer)
{
	struct worker *worker = context;
	worker->call = NULL;
	if (worker->remove_wanted) {
		container_enter(worker, CONTAINER_REMOVING);
	} else if (!answer->err) {
		container_enter(worker, CONTAINER_RUNNING);
	} else if (answer->status && learn(worker, answer->err)) {
		engine_cancel(steal(worker->wait));
		container_enter(worker, CONTAINER_CLEARING);
	} else {
		struct err err = *answer->err;
		explain(worker, &err);
		container_fail(worker, &err);
	}
}

void container_begin_starting(struct worker *worker)
{
	struct err err;
	worker->call = container_call(worker, "POST", "start", START_TIMEOUT_MS, NULL, on_start_answered, &err);
	if (!worker->call)
		container_fail(worker, &err);
}
