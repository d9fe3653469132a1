/* Owns the clearing up after a worker. Called by the process runtime at each worker's removal, and at its opening for what an
 * earlier run left; never touches a process that its record does not prove to be ours.
 *
 *   KILLING --all are gone--> EMPTYING (a thread, if the directory is not empty) --> DONE
 *      | a while has passed                        | it cannot be removed
 *      +---------> DONE, with what is in the way <-+
 *
 * The ends of processes that are not our children are told by nobody, so KILLING looks again, with growing pauses. */
#include "node/runtime/process_remains.h"

#include "base/clock.h"
#include "base/text.h"
#include "node/runtime/cgroup.h"
#include "node/runtime/directory_removal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PAUSE_MIN_MS = 2, PAUSE_MAX_MS = 100, PATIENCE_MS = 10 * 1000 };

struct process_remains {
	struct process_record record;
	char record_path[PROCESS_PATH_MAX];
	process_remains_on_done *on_done; /* NULL: abandoned */
	void *context;
	uv_timer_t timer;
	uv_work_t work;
	bool working;     /* a thread is at it */
	int work_error;   /* an errno value; defined when it has ended */
	int64_t begun_ms;
	uint64_t pause_ms;
	struct err err;   /* told when the timer is closed */
};

static void on_timer_closed(uv_handle_t *handle)
{
	struct process_remains *remains = handle->data;
	if (remains->on_done)
		remains->on_done(remains->context, remains->err.code ? &remains->err : NULL);
	free(remains);
}

static void finish(struct process_remains *remains)
{
	if (!remains->err.code && unlink(remains->record_path) && errno != ENOENT)
		(void)err_from_errno(&remains->err, errno, "cannot remove the record %s", remains->record_path);
	uv_close((uv_handle_t *)&remains->timer, on_timer_closed);
}

/* ---- EMPTYING ---- */

static void empty_in_thread(uv_work_t *work)
{
	struct process_remains *remains = work->data;
	remains->work_error = directory_remove(remains->record.directory);
}

static void on_emptied(uv_work_t *work, int status)
{
	struct process_remains *remains = work->data;
	int error = status == UV_ECANCELED ? ECANCELED : remains->work_error;
	remains->working = false;
	if (error)
		(void)err_from_errno(&remains->err, error, "cannot remove the worker's directory %s",
				     remains->record.directory);
	finish(remains);
}

static void remove_directory(struct process_remains *remains)
{
	const char *directory = remains->record.directory;
	if (rmdir(directory) == 0 || errno == ENOENT) { /* most workers leave nothing in it */
		finish(remains);
		return;
	}
	remains->working = uv_queue_work(remains->timer.loop, &remains->work, empty_in_thread, on_emptied) == 0;
	if (!remains->working) {
		(void)err_set(&remains->err, ERR_NOMEM, "cannot remove the worker's directory %s: out of memory", directory);
		finish(remains);
	}
}

/* ---- KILLING ---- */

/* True while some are left. */
static bool kill_group(const struct process_record *record)
{
	if (!record->group || (kill(-record->group, 0) && errno == ESRCH))
		return false;
	if (!process_group_lives(record->group, record->start))
		return false;
	(void)kill(-record->group, SIGKILL);
	return true;
}

static void look(uv_timer_t *timer)
{
	struct process_remains *remains = timer->data;
	const struct process_record *record = &remains->record;
	bool left = kill_group(record);
	if (record->cgroup[0] && !cgroup_remove(record->cgroup)) {
		cgroup_kill(record->cgroup);
		left = true;
	}
	if (!left) {
		remove_directory(remains);
		return;
	}
	if (clock_monotonic_ms() - remains->begun_ms >= PATIENCE_MS) {
		(void)err_set(&remains->err, ERR_TIMEOUT, "processes of group %d (%s) do not end after SIGKILL", record->group,
			      record->cgroup[0] ? record->cgroup : "no control group");
		finish(remains);
		return;
	}
	(void)uv_timer_start(timer, look, remains->pause_ms, 0);
	remains->pause_ms = remains->pause_ms * 2 > PAUSE_MAX_MS ? PAUSE_MAX_MS : remains->pause_ms * 2;
}

struct process_remains *process_remains_clear(uv_loop_t *loop, const struct process_record *record,
					      const char *record_path, process_remains_on_done *on_done, void *context)
{
	struct process_remains *remains = calloc(1, sizeof(*remains));
	if (!remains)
		return NULL;
	remains->record = *record;
	text_copy(remains->record_path, sizeof(remains->record_path), record_path);
	remains->on_done = on_done;
	remains->context = context;
	remains->begun_ms = clock_monotonic_ms();
	remains->pause_ms = PAUSE_MIN_MS;
	char boot[BOOT_ID_SIZE];
	process_table_boot_id(boot);
	if (strcmp(boot, record->boot) != 0)
		remains->record.group = 0; /* that number means another process now */
	(void)uv_timer_init(loop, &remains->timer);
	remains->timer.data = remains->work.data = remains;
	(void)uv_timer_start(&remains->timer, look, 0, 0);
	return remains;
}

void process_remains_abandon(struct process_remains *remains)
{
	if (!remains)
		return;
	remains->on_done = NULL;
	if (remains->working)
		(void)uv_cancel((uv_req_t *)&remains->work); /* or it goes on, and ends by itself */
	else if (!uv_is_closing((uv_handle_t *)&remains->timer))
		uv_close((uv_handle_t *)&remains->timer, on_timer_closed);
}
