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

#include <string.h>

enum { SIGNAL_TIMEOUT_MS = 30000, INSPECT_TIMEOUT_MS = 30000, SIGNAL_RETRY_MS = 1000 };

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
	worker->signal_told = true;
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

static void tell_exit(struct worker *worker, const struct worker_exit *exit)
{
	container_enter(worker, CONTAINER_EXITED);
	worker->events.on_exit(worker->events.context, exit);
}

static void on_inquest_done(void *context, enum inquest_verdict verdict, const struct worker_exit *result)
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
	tell_exit(worker, &exit);
}

void container_begin_inquest(struct worker *worker)
{
	if (worker->exit_known && worker->signal_told) {
		tell_exit(worker, &(struct worker_exit){
					  .status = worker->exit_status, .out_of_memory = worker->oom_seen, .log_tail = ""});
		return;
	}
	int known_status = worker->exit_known ? worker->exit_status : -1;
	worker->inquest = container_inquest_start(worker->host, worker->id, known_status, on_inquest_done, worker, NULL);
	if (!worker->inquest)
		container_enter(worker, CONTAINER_ADRIFT);
}
