/* The queue of tasks from inside: what its own files share, tasks.c (the machine) and tasks_control.c (what is done to one by name). */
#pragma once

#include "hub/tasks.h"

struct tasks {
	struct store *store;
	struct task *running;   /* NULL: nothing runs */
	struct task *pending;
	struct task *completed;
	size_t pending_count;
	size_t pending_bytes;
	size_t completed_count;
	size_t keep_completed;
	size_t failures;        /* remembered, of all tasks */
	int64_t version;
	int64_t last_position;
	bool damaged;           /* while loading: two tasks are running */
	struct tasks_events events;
};

/* ---- tasks.c ---- */

void tasks_tell_change(struct tasks *tasks, const struct task *task);

/* The running or waiting one of that name; the one that ended last. NULL: none. */
struct task *tasks_find_active(const struct tasks *tasks, const char *name);
struct task *tasks_find_ended(const struct tasks *tasks, const char *name);

/* The task as it ends; the store gets that while the task itself stays as it is, until tasks_apply. */
struct task tasks_end_as(const struct task *task, enum task_status status, bool purge, int64_t now_wall_ms);
void tasks_apply(struct tasks *tasks, struct task *task, const struct task *changed);

/* How many that have ended make room for one more, and how they go: first their rows, then they. */
size_t tasks_surplus(const struct tasks *tasks);
int tasks_delete_oldest_rows(struct tasks *tasks, size_t count, struct err *err) MUST_CHECK;
void tasks_forget_oldest(struct tasks *tasks, size_t count);

int tasks_commit_or_roll_back(struct tasks *tasks, int rc, struct err *err) MUST_CHECK;

/* Ends what runs, in this way, and starts what waits longest; either may be absent. */
int tasks_switch_over(struct tasks *tasks, enum task_status as, bool purge, int64_t now_wall_ms, struct err *err) MUST_CHECK;
