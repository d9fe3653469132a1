/* One worker as a plain process of this machine: the `struct worker` of the process runtime. The calls are those of
 * runtime.h. */
#pragma once

#include "node/runtime/cgroup.h"
#include "node/runtime/process_record.h"
#include "node/runtime/process_user.h"
#include "node/runtime/runtime.h"

/* What all workers of one runtime share; it outlives them. */
struct process_host {
	uv_loop_t *loop;
	struct process_user user;
	bool no_new_privileges;
	int64_t processes_max;  /* of one worker */
	size_t workers_max;
	struct cgroup_home cgroups;
	char records[PROCESS_DIRECTORY_MAX]; /* the directory of their records */
	char temporary[PROCESS_DIRECTORY_MAX]; /* where their own directories are made */
	struct worker *workers; /* doubly linked; each adds and takes out itself */
	/* A worker's last handle was let go of, after process_worker_drop_all. */
	void (*on_gone)(struct process_host *host);
};

/* NULL with err set where it cannot even be begun; then nothing of it is left. */
struct worker *process_worker_start(struct process_host *host, const struct worker_spec *spec,
				    const struct worker_events *events, struct err *err);
void process_worker_signal(struct worker *worker, enum worker_signal signal);
void process_worker_remove(struct worker *worker);

/* The runtime closes: no callback comes any more, and what runs is killed. What they leave behind is the next run's. */
void process_worker_drop_all(struct process_host *host);
