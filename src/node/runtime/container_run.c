/* Owns a running container: the signals that it gets, and how it ended. Called by the machine in container.c. Never
 * takes a broken connection for an exit, and never loses one.
 *
 * Happy path: `wait` answers with the status; the engine is asked whether memory ran out and for the end of the log;
 * the owner is told. Of one that was told to end nothing is asked: nobody wonders why it ended.
 *
 * What can go wrong: `wait` breaks off because the engine dies or restarts. Then the container is adrift until the
 * engine is back: it may run on (wait again), have ended meanwhile (its recorded status), or be gone without a trace
 * (-1). A signal that was not heard is sent again. */
#include "node/runtime/container_life.h"

#include "node/runtime/cpu_pin.h"

#include <signal.h>
#include <string.h>

enum { SIGNAL_TIMEOUT_MS = 30000, INSPECT_TIMEOUT_MS = 30000, SIGNAL_RETRY_MS = 1000, EVENTS_MS = 50 };

/* ---- RUNNING ---- */

static bool is_over(const char *text)
{
	return strstr(text, "not running") || strstr(text, "o such container") || strstr(text, "only kill running");
}

static void on_signalled(void *context, const struct engine_answer *answer)
{
	struct worker *worker = context;
	worker->kill = NULL;
	if (answer->err && answer->status == 0) {
		/* Not heard: said again after a while, or when it is known that the container still runs. */
		if (worker->signal_sending > worker->signal_wanted)
			worker->signal_wanted = worker->signal_sending;
		if (worker->state == CONTAINER_RUNNING)
			container_pause_for(worker, SIGNAL_RETRY_MS);
		return;
	}
	if (answer->err && answer->status != 404 && answer->status != 409 && !is_over(answer->err->text))
		engine_host_warn(worker->host, "container %s cannot be stopped: %s", worker->name, answer->err->text);
	if (worker->state == CONTAINER_RUNNING)
		container_send_signal(worker);
}

void container_send_signal(struct worker *worker)
{
	if (worker->kill || worker->signal_wanted == NO_SIGNAL)
		return;
	worker->signal_sending = worker->signal_wanted;
	worker->signal_wanted = NO_SIGNAL;
	worker->signals_sent |= signal_bit(worker->signal_sending == WORKER_KILL ? SIGKILL : SIGTERM);
	const char *suffix = worker->signal_sending == WORKER_KILL ? "kill?signal=SIGKILL" : "kill?signal=SIGTERM";
	worker->kill = container_call(worker, "POST", suffix, SIGNAL_TIMEOUT_MS, NULL, on_signalled, NULL);
	if (!worker->kill) {
		worker->signal_wanted = worker->signal_sending;
		container_pause_for(worker, SIGNAL_RETRY_MS);
	}
}

static void on_process_found(void *context, const struct engine_answer *answer)
{
	struct worker *worker = context;
	worker->look = NULL;
	const json_t *state = json_object_get(answer->json, "State");
	json_int_t pid = json_integer_value(json_object_get(state, "Pid"));
	struct err err;
	/* A container that is over already has pid 0, and nothing to pin. */
	if (pid > 0 && cpu_pin_container((int)pid, worker->id, worker->cpus, &err))
		engine_host_warn(worker->host, "workers are not pinned to CPUs: %s", err.text);
}

void container_begin_running(struct worker *worker)
{
	struct err err;
	(void)uv_timer_stop(&worker->pause);
	if (!worker->started_told) {
		worker->started_told = true;
		if (worker->host->features.lacks[ENGINE_CPUSET] && worker->cpus[0])
			worker->look = container_call(worker, "GET", "json", INSPECT_TIMEOUT_MS, NULL,
						      on_process_found, NULL);
		worker->events.on_started(worker->events.context, NULL);
		if (worker->state != CONTAINER_RUNNING)
			return;
		if (worker->exit_known || !worker->wait) {
			container_enter(worker, worker->exit_known ? CONTAINER_INQUEST : CONTAINER_ADRIFT);
			return;
		}
	} else if (!container_open_wait(worker, "not-running", &err)) {
		/* It was seen running: "not-running" misses nothing, and answers at once if it ended since. */
		container_enter(worker, CONTAINER_ADRIFT);
		return;
	}
	container_send_signal(worker);
}

/* ---- ADRIFT, INQUEST ---- */

/* Whether a signal that somebody else sent through the engine is the reason of the end. One that is meant to end a
 * program is, whatever the program made of it; another one if the program died of it. */
static bool was_signalled(const struct worker *worker, int status, int stop_signal)
{
	const uint64_t ending = signal_bit(SIGTERM) | signal_bit(SIGINT) | signal_bit(SIGQUIT) | signal_bit(SIGKILL) |
				signal_bit(stop_signal);
	const uint64_t foreign = worker->signals_seen & ~worker->signals_sent;
	return foreign & (ending | signal_bit(status - 128));
}

/* The end came while the engine was away, or as it went: an engine that shuts down ends its containers, and has no time
 * to tell. */
static bool went_with_engine(const struct worker *worker)
{
	return !worker->host->containers_outlive_it && (!worker->exit_known || !worker->host->ready);
}

static void tell_exit(struct worker *worker, const struct worker_exit *exit)
{
	container_enter(worker, CONTAINER_EXITED);
	worker->events.on_exit(worker->events.context, exit);
}

static void on_inquest_done(void *context, enum inquest_verdict verdict, const struct worker_exit *result,
			    int stop_signal)
{
	struct worker *worker = context;
	worker->inquest = NULL;
	if (worker->remove_wanted)
		return; /* nobody waits for it any more; on_turn goes on */
	if (verdict != INQUEST_ENDED) {
		container_enter(worker, verdict == INQUEST_RUNNING ? CONTAINER_RUNNING : CONTAINER_ADRIFT);
		return;
	}
	struct worker_exit exit = *result;
	exit.out_of_memory = exit.out_of_memory || worker->oom_seen;
	exit.stopped_by_other = was_signalled(worker, exit.status, stop_signal) || went_with_engine(worker);
	tell_exit(worker, &exit);
}

void container_begin_inquest(struct worker *worker)
{
	/* Whoever was told to end is not asked how it was. */
	if (worker->exit_known && worker->signals_sent) {
		tell_exit(worker, &(struct worker_exit){
					  .status = worker->exit_status, .out_of_memory = worker->oom_seen, .log_tail = ""});
		return;
	}
	/* An engine tells of a signal after it was sent: whoever died of one may have been quicker. */
	if (worker->exit_known && worker->exit_status > 128 && !worker->signals_seen && !worker->events_awaited) {
		worker->events_awaited = true;
		container_pause_for(worker, EVENTS_MS);
		return;
	}
	int known_status = worker->exit_known ? worker->exit_status : -1;
	worker->inquest = container_inquest_start(worker->host, worker->id, known_status, on_inquest_done, worker, NULL);
	if (!worker->inquest)
		container_enter(worker, CONTAINER_ADRIFT);
}
