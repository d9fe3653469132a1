/* The queue of tasks: one runs, the others wait in order, the last ones that ended (completed, cancelled) are remembered.
 *
 * Each change is written to the store first and happens in memory only when that went well, so a caller can answer an
 * error and know that nothing changed. */
#pragma once

#include "base/err.h"
#include "hub/failures.h"
#include "hub/store.h"
#include "hub/task.h"

struct tasks;

/* Each may be NULL. */
struct tasks_events {
	void *context;
	/* What runs has changed, or nothing runs any more; after on_change. */
	void (*on_switch)(void *context);
	/* The task is new, or its status has changed. */
	void (*on_change)(void *context, const struct task *task);
	/* The task is gone when this returns. */
	void (*on_forget)(void *context, const struct task *task);
};

/* Tells nothing while it loads. */
struct tasks *tasks_load(struct store *store, size_t keep_completed, int64_t now_wall_ms, const struct tasks_events *events,
			 struct err *err);
void tasks_free(struct tasks *tasks);

/* NULL where nothing runs. */
const struct task *tasks_current(const struct tasks *tasks);

/* Grows with every switch, also across restarts: what a node's held call compares. */
int64_t tasks_version(const struct tasks *tasks);

/* In the order of listings: running, waiting, completed. Follow ->next. */
const struct task *tasks_pending(const struct tasks *tasks);
const struct task *tasks_completed(const struct tasks *tasks); /* oldest first */

/* The running or waiting one of that name, else the one completed last; NULL if unknown. */
const struct task *tasks_find(const struct tasks *tasks, const char *name);

/* Takes over the spec when it succeeds. It starts at once where nothing runs. ERR_EXISTS: the name is running or waiting.
 * ERR_TOO_BIG: too many are waiting. */
int tasks_add(struct tasks *tasks, struct task_spec *spec, int64_t now_wall_ms, const struct task **added,
	      struct err *err) MUST_CHECK;

/* Removes a waiting task. ERR_NOT_FOUND; ERR_EXISTS: it is running or has ended. */
int tasks_delete(struct tasks *tasks, const char *name, struct err *err) MUST_CHECK;

/* Completes the running task, if any, and starts the next one. ERR_STATE where none waits; nothing changes then.
 * *previous is NULL where nothing ran. */
int tasks_next(struct tasks *tasks, int64_t now_wall_ms, const struct task **previous, struct err *err) MUST_CHECK;

/* Completes the running task and starts the next one, if any. ERR_STATE where nothing runs. */
int tasks_finish(struct tasks *tasks, int64_t now_wall_ms, const struct task **completed, struct err *err) MUST_CHECK;

/* The same, but only where the running one has this name. ERR_NOT_FOUND; ERR_STATE: it waits, or has ended. */
int tasks_finish_named(struct tasks *tasks, const char *name, int64_t now_wall_ms, const struct task **completed,
		       struct err *err) MUST_CHECK;

/* The running or waiting task of that name ends as cancelled; where it ran, the next one starts, if any. purge: see task.h.
 * ERR_NOT_FOUND; ERR_STATE: it has ended. */
int tasks_cancel(struct tasks *tasks, const char *name, bool purge, int64_t now_wall_ms, const struct task **cancelled,
		 struct err *err) MUST_CHECK;

/* The running leased task of that name gives no items until further notice; or gives them again. Nothing happens where it is so
 * already. ERR_NOT_FOUND; ERR_STATE: it does not run; ERR_INVALID: it is direct. */
int tasks_set_paused(struct tasks *tasks, const char *name, bool paused, const struct task **task, struct err *err) MUST_CHECK;

/* Remembers a failed attempt of one of the task's items, in memory alone. */
void tasks_note_failure(struct tasks *tasks, const struct task *task, const struct failure *failure, int64_t now_wall_ms);

/* Nothing of this completed task is out any more; its last numbers, as JSON text (taken over also when this fails). */
int tasks_settle(struct tasks *tasks, const char *task_id, char *progress, struct err *err) MUST_CHECK;
