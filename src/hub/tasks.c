/* Owns the queue of tasks and the version that nodes watch. Called by the API; never talks to nodes (on_switch lets the
 * hub do that).
 *
 *   (registered) --> PENDING --next, finish, or nothing runs--> RUNNING --next, finish--> COMPLETED --> forgotten
 *                       |  |                                    |  ^  |                       ^
 *       gone <--delete--+  |                              pause |  |  +--cancel--> CANCELLED -+
 *                          +--cancel--> CANCELLED               v  | resume
 *                                                           (its `paused`)
 *
 * A cancelled task ends as a completed one does, and stands among them. Nothing runs only while nothing waits. */
#include "hub/tasks_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	PENDING_MAX = 10000,
	PENDING_BYTES_MAX = 64 * 1024 * 1024, /* of all waiting tasks' details: what a listing has to carry */
};

static const char VERSION_NAME[] = "task_version";

static void tell_switch(struct tasks *tasks)
{
	if (tasks->events.on_switch)
		tasks->events.on_switch(tasks->events.context);
}

void tasks_tell_change(struct tasks *tasks, const struct task *task)
{
	if (task && tasks->events.on_change)
		tasks->events.on_change(tasks->events.context, task);
}

static void forget(struct tasks *tasks, struct task *task)
{
	tasks->failures -= json_array_size(task->failures);
	if (tasks->events.on_forget)
		tasks->events.on_forget(tasks->events.context, task);
	task_free(task);
}

/* ---- lists ---- */

static size_t size_of(const struct task *task)
{
	return task->details ? strlen(task->details) : 0;
}

static void list(struct tasks *tasks, struct task *task)
{
	task_refresh_details(task);
	switch (task->status) {
	case TASK_RUNNING:
		assert(!tasks->running);
		tasks->running = task;
		task->next = NULL;
		break;
	case TASK_PENDING:
		DL_APPEND(tasks->pending, task);
		tasks->pending_count++;
		tasks->pending_bytes += size_of(task);
		break;
	case TASK_COMPLETED:
	case TASK_CANCELLED:
		DL_APPEND(tasks->completed, task);
		tasks->completed_count++;
		break;
	}
}

static void unlist(struct tasks *tasks, struct task *task)
{
	switch (task->status) {
	case TASK_RUNNING:
		tasks->running = NULL;
		break;
	case TASK_PENDING:
		DL_DELETE(tasks->pending, task);
		tasks->pending_count--;
		tasks->pending_bytes -= size_of(task);
		break;
	case TASK_COMPLETED:
	case TASK_CANCELLED:
		DL_DELETE(tasks->completed, task);
		tasks->completed_count--;
		break;
	}
}

static struct task *find_in(struct task *head, const char *name)
{
	struct task *task;
	DL_FOREACH (head, task) {
		if (strcmp(task->spec.name, name) == 0)
			return task;
	}
	return NULL;
}

struct task *tasks_find_active(const struct tasks *tasks, const char *name)
{
	if (tasks->running && strcmp(tasks->running->spec.name, name) == 0)
		return tasks->running;
	return find_in(tasks->pending, name);
}

struct task *tasks_find_ended(const struct tasks *tasks, const char *name)
{
	struct task *newest = NULL;
	struct task *task;
	DL_FOREACH (tasks->completed, task) {
		if (strcmp(task->spec.name, name) == 0)
			newest = task;
	}
	return newest;
}

const struct task *tasks_current(const struct tasks *tasks)
{
	return tasks->running;
}

int64_t tasks_version(const struct tasks *tasks)
{
	return tasks->version;
}

const struct task *tasks_pending(const struct tasks *tasks)
{
	return tasks->pending;
}

const struct task *tasks_completed(const struct tasks *tasks)
{
	return tasks->completed;
}

const struct task *tasks_find(const struct tasks *tasks, const char *name)
{
	const struct task *active = tasks_find_active(tasks, name);
	return active ? active : tasks_find_ended(tasks, name);
}

/* ---- loading ---- */

static void on_loaded(void *context, struct task *task)
{
	struct tasks *tasks = context;
	if (task->position > tasks->last_position)
		tasks->last_position = task->position;
	if (task->status == TASK_RUNNING && tasks->running) {
		tasks->damaged = true;
		task_free(task);
		return;
	}
	list(tasks, task);
}

struct tasks *tasks_load(struct store *store, size_t keep_completed, int64_t now_wall_ms, const struct tasks_events *events,
			 struct err *err)
{
	struct tasks *tasks = calloc(1, sizeof(*tasks));
	if (!tasks) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	tasks->store = store;
	tasks->keep_completed = keep_completed;
	tasks->events = *events;

	int rc = store_get_number(store, VERSION_NAME, &tasks->version, err);
	if (!rc)
		rc = store_load_tasks(store, on_loaded, tasks, err);
	if (!rc && tasks->damaged)
		rc = err_set(err, ERR_INVALID, "the state is damaged: more than one task is running");
	if (rc) {
		tasks_free(tasks);
		return NULL;
	}
	/* A fresh state begins above every version that nodes may know from a lost one. */
	if (tasks->version == 0)
		tasks->version = now_wall_ms;
	return tasks;
}

void tasks_free(struct tasks *tasks)
{
	if (!tasks)
		return;
	struct task *task;
	struct task *next;
	task_free(tasks->running);
	DL_FOREACH_SAFE (tasks->pending, task, next)
		task_free(task);
	DL_FOREACH_SAFE (tasks->completed, task, next)
		task_free(task);
	free(tasks);
}

/* ---- changes ---- */

/* What a task would become; the store gets that while the task itself stays as it is. */
static struct task become(const struct task *task, enum task_status status, int64_t now_wall_ms)
{
	struct task changed = *task;
	changed.status = status;
	if (status == TASK_RUNNING)
		changed.started_ms = now_wall_ms;
	if (task_has_ended(&changed)) {
		changed.completed_ms = now_wall_ms;
		changed.paused = false;
		changed.settled = task->status == TASK_PENDING; /* nothing of it was ever out */
	}
	return changed;
}

/* As it ends; the purge, where there is to be one, comes before it is settled. */
struct task tasks_end_as(const struct task *task, enum task_status status, bool purge, int64_t now_wall_ms)
{
	struct task ended = become(task, status, now_wall_ms);
	ended.purge = purge;
	ended.settled = ended.settled && !purge;
	return ended;
}

void tasks_apply(struct tasks *tasks, struct task *task, const struct task *changed)
{
	unlist(tasks, task);
	*task = *changed;
	list(tasks, task);
}

static int64_t next_version(const struct tasks *tasks, int64_t now_wall_ms)
{
	return now_wall_ms > tasks->version ? now_wall_ms : tasks->version + 1;
}

/* How many completed tasks make room for one more. */
size_t tasks_surplus(const struct tasks *tasks)
{
	size_t count = tasks->completed_count + 1;
	return count > tasks->keep_completed ? count - tasks->keep_completed : 0;
}

/* A task whose items are still out stays until they are home. */
static bool may_go(const struct task *task)
{
	return task->settled || task->spec.delivery != DELIVERY_LEASED;
}

int tasks_delete_oldest_rows(struct tasks *tasks, size_t count, struct err *err)
{
	int rc = 0;
	for (const struct task *task = tasks->completed; count > 0 && task && !rc; task = task->next) {
		if (!may_go(task))
			continue;
		rc = store_delete_task(tasks->store, task, err);
		count--;
	}
	return rc;
}

void tasks_forget_oldest(struct tasks *tasks, size_t count)
{
	struct task *task;
	struct task *next;
	DL_FOREACH_SAFE (tasks->completed, task, next) {
		if (count == 0)
			return;
		if (!may_go(task))
			continue;
		unlist(tasks, task);
		forget(tasks, task);
		count--;
	}
}

int tasks_commit_or_roll_back(struct tasks *tasks, int rc, struct err *err)
{
	if (!rc)
		return store_commit(tasks->store, err);
	store_rollback(tasks->store);
	return rc;
}

/* Ends what runs, in this way, and starts what waits longest; either may be absent. */
int tasks_switch_over(struct tasks *tasks, enum task_status as, bool purge, int64_t now_wall_ms, struct err *err)
{
	struct task *ending = tasks->running;
	struct task *starting = tasks->pending;
	size_t forgotten = ending ? tasks_surplus(tasks) : 0;
	int64_t version = next_version(tasks, now_wall_ms);
	struct task ended = {0};
	struct task started = {0};
	if (ending)
		ended = tasks_end_as(ending, as, purge, now_wall_ms);
	if (starting)
		started = become(starting, TASK_RUNNING, now_wall_ms);

	int rc = store_begin(tasks->store, err);
	if (rc)
		return rc;
	if (ending)
		rc = store_put_task(tasks->store, &ended, err);
	if (!rc)
		rc = tasks_delete_oldest_rows(tasks, forgotten, err);
	if (!rc && starting)
		rc = store_put_task(tasks->store, &started, err);
	if (!rc)
		rc = store_put_number(tasks->store, VERSION_NAME, version, err);
	rc = tasks_commit_or_roll_back(tasks, rc, err);
	if (rc)
		return rc;

	tasks_forget_oldest(tasks, forgotten);
	if (ending)
		tasks_apply(tasks, ending, &ended);
	if (starting)
		tasks_apply(tasks, starting, &started);
	tasks->version = version;
	tasks_tell_change(tasks, ending);
	tasks_tell_change(tasks, starting);
	tell_switch(tasks);
	return 0;
}

static int put_new(struct tasks *tasks, const struct task *task, int64_t version, struct err *err)
{
	int rc = store_begin(tasks->store, err);
	if (rc)
		return rc;
	rc = store_put_task(tasks->store, task, err);
	if (!rc && version != tasks->version)
		rc = store_put_number(tasks->store, VERSION_NAME, version, err);
	return tasks_commit_or_roll_back(tasks, rc, err);
}

int tasks_add(struct tasks *tasks, struct task_spec *spec, int64_t now_wall_ms, const struct task **added,
	      struct err *err)
{
	const struct task *same = tasks_find_active(tasks, spec->name);
	if (same)
		return err_set(err, ERR_EXISTS, "a task named \"%s\" is already %s", spec->name,
			       same->status == TASK_RUNNING ? "running" : "waiting");
	if (tasks->pending_count >= PENDING_MAX)
		return err_set(err, ERR_TOO_BIG, "%d tasks are waiting already", PENDING_MAX);
	if (tasks->pending_bytes >= PENDING_BYTES_MAX)
		return err_set(err, ERR_TOO_BIG, "the waiting tasks take %zu bytes already", tasks->pending_bytes);

	struct task *task = calloc(1, sizeof(*task));
	if (!task)
		return err_set(err, ERR_NOMEM, "out of memory");
	bool starts = !tasks->running;
	random_uuid(task->id);
	task->position = tasks->last_position + 1;
	task->created_ms = now_wall_ms;
	task->spec = *spec;
	*task = become(task, starts ? TASK_RUNNING : TASK_PENDING, now_wall_ms);

	int64_t version = starts ? next_version(tasks, now_wall_ms) : tasks->version;
	int rc = put_new(tasks, task, version, err);
	if (rc) {
		free(task); /* the spec stays the caller's */
		return rc;
	}
	*spec = (struct task_spec){0};
	tasks->last_position = task->position;
	tasks->version = version;
	list(tasks, task);
	*added = task;
	tasks_tell_change(tasks, task);
	if (starts)
		tell_switch(tasks);
	return 0;
}

int tasks_delete(struct tasks *tasks, const char *name, struct err *err)
{
	struct task *task = tasks_find_active(tasks, name);
	if (task && task->status == TASK_RUNNING)
		return err_set(err, ERR_EXISTS, "the task \"%s\" is running; finish it instead (gridctl finish, POST /api/tasks/finish)", name);
	if (!task && tasks_find_ended(tasks, name))
		return err_set(err, ERR_EXISTS, "the task \"%s\" is %s; only a waiting task can be deleted", name,
			       task_status_name(tasks_find_ended(tasks, name)->status));
	if (!task)
		return err_set(err, ERR_NOT_FOUND, "there is no task named \"%s\"", name);

	int rc = store_begin(tasks->store, err);
	if (rc)
		return rc;
	rc = tasks_commit_or_roll_back(tasks, store_delete_task(tasks->store, task, err), err);
	if (rc)
		return rc;
	unlist(tasks, task);
	forget(tasks, task);
	return 0;
}

int tasks_next(struct tasks *tasks, int64_t now_wall_ms, const struct task **previous, struct err *err)
{
	*previous = tasks->running;
	if (!tasks->pending && tasks->running)
		return err_set(err, ERR_STATE, "no task is waiting; \"%s\" goes on (gridctl finish, or POST /api/tasks/finish, ends it)",
			       tasks->running->spec.name);
	if (!tasks->pending)
		return err_set(err, ERR_STATE, "no task is waiting");
	return tasks_switch_over(tasks, TASK_COMPLETED, false, now_wall_ms, err);
}

int tasks_finish(struct tasks *tasks, int64_t now_wall_ms, const struct task **completed, struct err *err)
{
	*completed = tasks->running;
	if (!tasks->running)
		return err_set(err, ERR_STATE, "no task is running");
	return tasks_switch_over(tasks, TASK_COMPLETED, false, now_wall_ms, err);
}

int tasks_settle(struct tasks *tasks, const char *task_id, char *progress, struct err *err)
{
	struct task *task;
	DL_FOREACH (tasks->completed, task) {
		if (strcmp(task->id, task_id) == 0)
			break;
	}
	if (!task) {
		free(progress);
		return err_set(err, ERR_NOT_FOUND, "there is no such completed task");
	}
	free(task->progress);
	task->progress = progress;
	task->settled = true;
	task_refresh_details(task);
	int rc = store_begin(tasks->store, err);
	if (rc)
		return rc;
	return tasks_commit_or_roll_back(tasks, store_put_task(tasks->store, task, err), err);
}
