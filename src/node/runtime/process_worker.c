/* Owns one process worker's machine, from its start (process_start.c) to its last trace. Called by the slots through the
 * runtime's table; never runs anything of the task itself: that is the launcher's part.
 *
 *   STARTING --control closed--> RUNNING --exit--> ENDED ──remove()──> REMOVING --nothing is left--> GONE
 *       | a refusal                 |                                     ^
 *       +──> FAILED ────────────────┴──────────────remove()───────────────┘ */
#include "node/runtime/process_life.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <string.h>

enum { CHUNK = 8192, DRAIN_MAX = 256 * 1024 };

static void step(struct worker *worker);

/* ---- handles ---- */

static void on_all_closed(struct worker *worker)
{
	struct process_host *host = worker->host;
	if (worker->prev)
		worker->prev->next = worker->next;
	else
		host->workers = worker->next;
	if (worker->next)
		worker->next->prev = worker->prev;
	if (!worker->dropped && worker->events.on_removed)
		worker->events.on_removed(worker->events.context, worker->removal_err.code ? &worker->removal_err : NULL);
	bool dropped = worker->dropped;
	log_tail_done(&worker->tail);
	free(worker);
	if (dropped)
		host->on_gone(host);
}

static void on_closed(uv_handle_t *handle)
{
	struct worker *worker = handle->data;
	if (--worker->open_handles == 0)
		on_all_closed(worker);
}

static void close_handle(void *handle)
{
	if (!uv_is_closing(handle))
		uv_close(handle, on_closed);
}

void process_close_all(struct worker *worker)
{
	worker->state = PROCESS_GONE;
	close_handle(&worker->process);
	close_handle(&worker->control);
	close_handle(&worker->output);
}

/* ---- what the process tells ---- */

static void lend_chunk(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
	static char chunk[CHUNK]; /* read and used in one turn */
	(void)handle;
	(void)suggested;
	*buf = uv_buf_init(chunk, sizeof(chunk));
}

static void keep_output(struct worker *worker, const char *bytes, size_t len)
{
	if (log_tail_feed(&worker->tail, bytes, len))
		log_debug("runtime", "no memory for the output of group %d", worker->record.group);
}

static void on_output(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct worker *worker = stream->data;
	if (len > 0)
		keep_output(worker, buf->base, (size_t)len);
	else if (len < 0)
		(void)uv_read_stop(stream);
}

static void on_control(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct worker *worker = stream->data;
	if (len > 0) {
		size_t room = sizeof(worker->refusal) - worker->refusal_len;
		size_t part = (size_t)len < room ? (size_t)len : room;
		memcpy((char *)&worker->refusal + worker->refusal_len, buf->base, part);
		worker->refusal_len += part;
	} else if (len < 0) {
		worker->control_over = true;
		close_handle(stream);
		step(worker);
	}
}

void process_begin_reading(struct worker *worker, int control_fd, int output_fd)
{
	(void)uv_pipe_open(&worker->control, control_fd);
	(void)uv_pipe_open(&worker->output, output_fd);
	(void)uv_read_start((uv_stream_t *)&worker->control, lend_chunk, on_control);
	(void)uv_read_start((uv_stream_t *)&worker->output, lend_chunk, on_output);
}

/* What it wrote last may not have been read yet; its children may hold the pipe open, so there need be no end. */
static void drain_output(struct worker *worker)
{
	uv_os_fd_t fd;
	char chunk[CHUNK];
	if (uv_is_closing((uv_handle_t *)&worker->output) || uv_fileno((uv_handle_t *)&worker->output, &fd))
		return;
	for (size_t total = 0; total < DRAIN_MAX;) {
		ssize_t len = read(fd, chunk, sizeof(chunk));
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return;
		keep_output(worker, chunk, (size_t)len);
		total += (size_t)len;
	}
}

void process_on_exit(uv_process_t *process, int64_t status, int number)
{
	struct worker *worker = process->data;
	worker->exited = true;
	worker->status = number ? 128 + number : (int)status;
	close_handle(process);
	step(worker);
}

static void on_cleared(void *context, const struct err *err)
{
	struct worker *worker = context;
	worker->remains = NULL;
	worker->cleared = true;
	if (err)
		worker->removal_err = *err;
	step(worker);
}

/* ---- moves ---- */

static void tell_started(struct worker *worker)
{
	struct err err = worker->start_err;
	if (!err.code && worker->refusal_len == sizeof(worker->refusal)) {
		worker->refusal.text[LAUNCHER_TEXT_MAX - 1] = '\0';
		(void)err_set(&err, worker->refusal.code, "%s", worker->refusal.text);
	}
	worker->state = err.code ? PROCESS_FAILED : PROCESS_RUNNING;
	worker->events.on_started(worker->events.context, err.code ? &err : NULL);
}

static void tell_exit(struct worker *worker)
{
	bool failed = worker->status != 0;
	if (failed)
		drain_output(worker);
	struct worker_exit result = {
		.status = worker->status,
		.out_of_memory = worker->record.cgroup[0] && cgroup_ran_out_of_memory(worker->record.cgroup),
		.log_tail = failed ? log_tail_text(&worker->tail) : "",
	};
	worker->state = PROCESS_ENDED;
	worker->events.on_exit(worker->events.context, &result);
}

/* Every callback may have closed the runtime, or removed the worker: the state is looked at anew. */
static void step(struct worker *worker)
{
	if (worker->dropped)
		return;
	if (worker->state == PROCESS_STARTING && worker->control_over)
		tell_started(worker);
	if (worker->state == PROCESS_RUNNING && worker->exited)
		tell_exit(worker);
	if (worker->state == PROCESS_REMOVING && worker->cleared && (worker->exited || worker->removal_err.code))
		process_close_all(worker);
}

/* ---- the end ---- */

static void kill_all(const struct worker *worker)
{
	if (!worker->exited && worker->record.group > 1)
		(void)kill(-worker->record.group, SIGKILL);
	if (worker->record.cgroup[0])
		cgroup_kill(worker->record.cgroup);
}

void process_worker_signal(struct worker *worker, enum worker_signal signal)
{
	if (worker->exited || worker->state > PROCESS_RUNNING || worker->start_err.code)
		return;
	if (signal == WORKER_KILL)
		kill_all(worker);
	else
		(void)kill(-worker->record.group, SIGTERM);
}

void process_worker_remove(struct worker *worker)
{
	assert(worker->state < PROCESS_REMOVING);
	worker->state = PROCESS_REMOVING;
	kill_all(worker);
	worker->remains = process_remains_clear(worker->host->loop, &worker->record, worker->record_path, on_cleared, worker);
	if (worker->remains)
		return;
	(void)err_set(&worker->removal_err, ERR_NOMEM, "out of memory");
	process_close_all(worker);
}

void process_worker_drop_all(struct process_host *host)
{
	for (struct worker *worker = host->workers; worker; worker = worker->next) {
		if (worker->dropped)
			continue;
		kill_all(worker);
		worker->dropped = true;
		process_remains_abandon(steal(worker->remains));
		process_close_all(worker);
	}
}
