/* One registered task: its spec, its place in the queue, its times. */
#pragma once

#include "base/random.h"
#include "proto/task_spec.h"

#include <stdbool.h>
#include <stdint.h>

enum task_status { TASK_PENDING, TASK_RUNNING, TASK_COMPLETED, TASK_CANCELLED };

struct task {
	char id[UUID_SIZE];    /* tells tasks of one name apart */
	int64_t position;      /* grows with each registration: the order of waiting */
	struct task_spec spec;
	enum task_status status;
	int64_t created_ms;    /* wall clock */
	int64_t started_ms;    /* 0 while pending */
	int64_t completed_ms;  /* 0 until it ended */
	bool paused;           /* running, and gives no items */
	bool purge;            /* cancelled: what is left of its items and results is dropped before it counts as settled */
	bool settled;          /* ended, and nothing of it is out on nodes any more */
	char *progress;        /* JSON text: its numbers when it settled; NULL before */
	json_t *failures;      /* the last ones (failures.h), of this run of the hub; NULL: none */
	char *details;         /* what the API shows, as JSON text: formed once per change, since listings are long */
	struct task *prev, *next;
};

void task_free(struct task *task);

/* "pending", "running", "completed", "cancelled". */
const char *task_status_name(enum task_status status);
bool task_status_parse(const char *name, enum task_status *status);

/* Completed or cancelled. */
bool task_has_ended(const struct task *task);

/* Forms task->details anew, passwords masked, after the task has changed. Without memory it is NULL. */
void task_refresh_details(struct task *task);
