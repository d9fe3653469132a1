/* Owns what is done to one task by its name: finish, cancel, pause, resume; and what is remembered of its failures. Called by the API
 * and by the hub; each change is made by the machine's own functions (tasks.c). */
#include "hub/tasks_parts.h"

#include <utlist.h>

static int refuse_state(const struct task *task, const char *why, struct err *err)
{
	return err_set(err, ERR_STATE, "the task \"%s\" is %s; %s", task->spec.name,
		       task->status == TASK_PENDING ? "waiting" : task_status_name(task->status), why);
}

/* The running or waiting task of that name; NULL with err set. */
static struct task *take_active(const struct tasks *tasks, const char *name, const char *why, struct err *err)
{
	struct task *task = tasks_find_active(tasks, name);
	const struct task *ended = task ? NULL : tasks_find_ended(tasks, name);
	if (ended)
		(void)refuse_state(ended, why, err);
	else if (!task)
		(void)err_set(err, ERR_NOT_FOUND, "there is no task named \"%.128s\"", name);
	return task;
}

int tasks_finish_named(struct tasks *tasks, const char *name, int64_t now_wall_ms, const struct task **completed,
		       struct err *err)
{
	static const char WHY[] = "only a running task can be finished";
	const struct task *task = take_active(tasks, name, WHY, err);
	if (!task)
		return (int)err->code;
	if (task != tasks->running)
		return refuse_state(task, WHY, err);
	return tasks_finish(tasks, now_wall_ms, completed, err);
}

static int cancel_waiting(struct tasks *tasks, struct task *task, bool purge, int64_t now_wall_ms, struct err *err)
{
	size_t forgotten = tasks_surplus(tasks);
	const struct task ended = tasks_end_as(task, TASK_CANCELLED, purge, now_wall_ms);
	int rc = store_begin(tasks->store, err);
	if (rc)
		return rc;
	rc = store_put_task(tasks->store, &ended, err);
	if (!rc)
		rc = tasks_delete_oldest_rows(tasks, forgotten, err);
	rc = tasks_commit_or_roll_back(tasks, rc, err);
	if (rc)
		return rc;
	tasks_forget_oldest(tasks, forgotten);
	tasks_apply(tasks, task, &ended);
	tasks_tell_change(tasks, task);
	return 0;
}

int tasks_cancel(struct tasks *tasks, const char *name, bool purge, int64_t now_wall_ms, const struct task **cancelled,
		 struct err *err)
{
	struct task *task = take_active(tasks, name, "only a running or waiting task can be cancelled", err);
	*cancelled = task;
	if (!task)
		return (int)err->code;
	if (task == tasks->running)
		return tasks_switch_over(tasks, TASK_CANCELLED, purge, now_wall_ms, err);
	return cancel_waiting(tasks, task, purge, now_wall_ms, err);
}

int tasks_set_paused(struct tasks *tasks, const char *name, bool paused, const struct task **paused_task, struct err *err)
{
	static const char WHY[] = "only a running task can be paused or resumed";
	struct task *task = take_active(tasks, name, WHY, err);
	*paused_task = task;
	if (!task)
		return (int)err->code;
	if (task->spec.delivery != DELIVERY_LEASED)
		return err_set(err, ERR_INVALID, "the task \"%s\" is direct: its workers take items from Redis themselves", name);
	if (task != tasks->running)
		return refuse_state(task, WHY, err);
	if (task->paused == paused)
		return 0;
	struct task changed = *task;
	changed.paused = paused;
	int rc = store_begin(tasks->store, err);
	if (!rc)
		rc = tasks_commit_or_roll_back(tasks, store_put_task(tasks->store, &changed, err), err);
	if (rc)
		return rc;
	task->paused = paused;
	task_refresh_details(task);
	tasks_tell_change(tasks, task);
	return 0;
}

/* ---- failures ---- */

enum { FAILURES_MAX = 10000 }; /* of all tasks together; of each FAILURES_KEPT at most */

/* The task as its owner knows it: it runs, or has ended. */
static struct task *own(struct tasks *tasks, const struct task *task)
{
	struct task *mine = tasks->completed;
	if (task == tasks->running)
		return tasks->running;
	while (mine && mine != task)
		mine = mine->next;
	return mine;
}

/* Those of the tasks that ended longest ago go first. */
static void forget_failures(struct tasks *tasks)
{
	struct task *task;
	DL_FOREACH (tasks->completed, task) {
		if (tasks->failures <= FAILURES_MAX)
			return;
		tasks->failures -= json_array_size(task->failures);
		json_decref(task->failures);
		task->failures = NULL;
	}
}

void tasks_note_failure(struct tasks *tasks, const struct task *task, const struct failure *failure, int64_t now_wall_ms)
{
	struct task *mine = own(tasks, task);
	if (!mine)
		return;
	tasks->failures -= json_array_size(mine->failures);
	failures_note(&mine->failures, failure, now_wall_ms);
	tasks->failures += json_array_size(mine->failures);
	forget_failures(tasks);
}
