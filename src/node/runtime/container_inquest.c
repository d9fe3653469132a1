/* Owns the questions about a container that may have ended: its state, then the end of its log. Called by a worker
 * whose wait was answered, or broke off. Never invents a status: what nobody can tell is -1.
 *
 *   LOOKING (GET json) --running--------------------------> RUNNING
 *      |--no answer, status not known-----------------------> SILENT
 *      |--ended with 0, or gone-----------------------------> ENDED
 *      +--ended otherwise--> READING (GET logs) --whatever--> ENDED
 *
 * A status that `wait` told stands, even if the engine cannot be asked for more any more. */
#include "node/runtime/container_inquest.h"

#include "base/log.h"
#include "node/runtime/log_tail.h"
#include "node/runtime/signal_name.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOOK_TIMEOUT_MS = 30000, LOG_TIMEOUT_MS = 20000, LOG_LINES = 50, ID_MAX = 128 };

struct container_inquest {
	struct engine_host *host;
	struct engine_call *call;
	container_inquest_on_done *on_done;
	void *context;
	char id[ID_MAX];
	int known_status; /* -1: nobody told */
	struct worker_exit result;
	int stop_signal; /* what a stop sends to it */
	struct log_tail tail;
	bool log_broken; /* not frames: what comes is passed over */
};

static void free_inquest(struct container_inquest *inquest)
{
	engine_cancel(inquest->call);
	log_tail_done(&inquest->tail);
	free(inquest);
}

static void finish(struct container_inquest *inquest, enum inquest_verdict verdict)
{
	inquest->result.log_tail = log_tail_text(&inquest->tail);
	inquest->on_done(inquest->context, verdict, verdict == INQUEST_ENDED ? &inquest->result : NULL,
			 inquest->stop_signal);
	free_inquest(inquest);
}

static int call_engine(struct container_inquest *inquest, const char *suffix, int64_t timeout_ms,
		       void (*on_data)(void *, const char *, size_t),
		       void (*on_answer)(void *, const struct engine_answer *), struct err *err)
{
	char path[ID_MAX + 192];
	(void)snprintf(path, sizeof(path), "/containers/%s/%s", inquest->id, suffix);
	struct engine_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = timeout_ms,
		.context = inquest,
		.on_data = on_data,
		.on_answer = on_answer,
	};
	inquest->call = engine_start(inquest->host->engine, &request, err);
	return inquest->call ? 0 : ERR_NOMEM;
}

static void on_log_bytes(void *context, const char *bytes, size_t len)
{
	struct container_inquest *inquest = context;
	if (!inquest->log_broken && log_tail_feed(&inquest->tail, bytes, len))
		inquest->log_broken = true;
}

static void on_log_read(void *context, const struct engine_answer *answer)
{
	struct container_inquest *inquest = context;
	inquest->call = NULL;
	if (answer->err)
		log_debug("runtime", "container %.12s: its log cannot be read: %s", inquest->id, answer->err->text);
	finish(inquest, INQUEST_ENDED);
}

static void read_log(struct container_inquest *inquest)
{
	char suffix[64];
	(void)snprintf(suffix, sizeof(suffix), "logs?stdout=1&stderr=1&tail=%d", LOG_LINES);
	if (call_engine(inquest, suffix, LOG_TIMEOUT_MS, on_log_bytes, on_log_read, NULL))
		finish(inquest, INQUEST_ENDED);
}

/* "created" counts as not running: a container that somebody made start and fail. */
static bool is_running(const json_t *state)
{
	return json_is_true(json_object_get(state, "Running")) || json_is_true(json_object_get(state, "Restarting")) ||
	       json_is_true(json_object_get(state, "Paused"));
}

static void on_looked(void *context, const struct engine_answer *answer)
{
	struct container_inquest *inquest = context;
	const json_t *state = json_object_get(answer->json, "State");
	bool told = inquest->known_status >= 0;
	inquest->call = NULL;

	if (answer->err) {
		bool gone = answer->status == 404;
		finish(inquest, told || gone ? INQUEST_ENDED : INQUEST_SILENT);
		return;
	}
	if (!told && is_running(state)) {
		finish(inquest, INQUEST_RUNNING);
		return;
	}
	const char *stop_signal =
		json_string_value(json_object_get(json_object_get(answer->json, "Config"), "StopSignal"));
	if (stop_signal && signal_number(stop_signal))
		inquest->stop_signal = signal_number(stop_signal);
	const json_t *exit_code = json_object_get(state, "ExitCode");
	if (!told && json_is_integer(exit_code))
		inquest->result.status = (int)json_integer_value(exit_code);
	inquest->result.out_of_memory = json_is_true(json_object_get(state, "OOMKilled"));
	if (inquest->result.status == 0)
		finish(inquest, INQUEST_ENDED);
	else
		read_log(inquest);
}

struct container_inquest *container_inquest_start(struct engine_host *host, const char *id, int known_status,
						  container_inquest_on_done *on_done, void *context, struct err *err)
{
	struct container_inquest *inquest = calloc(1, sizeof(*inquest));
	if (!inquest) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	inquest->host = host;
	inquest->on_done = on_done;
	inquest->context = context;
	inquest->known_status = known_status;
	inquest->result.status = known_status;
	inquest->stop_signal = SIGTERM;
	(void)snprintf(inquest->id, sizeof(inquest->id), "%s", id);
	log_tail_init(&inquest->tail, RUNTIME_LOG_TAIL_MAX, false);
	if (call_engine(inquest, "json", LOOK_TIMEOUT_MS, NULL, on_looked, err)) {
		free_inquest(inquest);
		return NULL;
	}
	return inquest;
}

void container_inquest_cancel(struct container_inquest *inquest)
{
	if (inquest)
		free_inquest(inquest);
}
