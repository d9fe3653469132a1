/* The inside of a process worker's life, shared by the files that drive it: process_start.c (until the launcher has its go),
 * process_worker.c (the machine and its end). Nobody else includes this. */
#pragma once

#include "node/runtime/launcher.h"
#include "node/runtime/log_tail.h"
#include "node/runtime/process_remains.h"
#include "node/runtime/process_worker.h"

enum process_state { PROCESS_STARTING, PROCESS_RUNNING, PROCESS_ENDED, PROCESS_FAILED, PROCESS_REMOVING, PROCESS_GONE };

struct worker {
	struct process_host *host;
	struct worker_events events;
	enum process_state state;
	bool dropped; /* the runtime has closed: nobody is told anything */

	struct process_record record;
	char record_path[PROCESS_PATH_MAX];

	uv_process_t process;
	uv_pipe_t control; /* to the launcher, until it has become the worker */
	uv_pipe_t output;  /* standard output and error */
	unsigned open_handles;

	struct launcher_refusal refusal;
	size_t refusal_len;
	bool control_over;
	struct err start_err; /* our own part of the start failed */
	bool exited;
	int status;           /* as worker_exit has it; defined when exited */
	struct log_tail tail;

	struct process_remains *remains; /* while REMOVING */
	bool cleared;
	struct err removal_err;
	struct worker *prev, *next;
};

/* Lets go of all handles; the loop then frees the worker, and tells on_removed. */
void process_close_all(struct worker *worker);

/* For uv_spawn. */
void process_on_exit(uv_process_t *process, int64_t status, int number);

/* Takes the descriptors over. */
void process_begin_reading(struct worker *worker, int control_fd, int output_fd);
