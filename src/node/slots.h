/* All slots of the machine and the task that they work on: image first, then one container per slot; at a switch the old
 * ones end while the new image is already being fetched. */
#pragma once

#include "base/config.h"
#include "node/cpus.h"
#include "node/runtime/runtime.h"
#include "proto/task_config.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct slots;

struct slots_options {
	const struct runtime_ops *ops;
	size_t count;
	const struct cpus *cpus;
	const char *platform; /* "linux/amd64" */
	int64_t stop_timeout_ms;
	int64_t memory_mb;
	int64_t memory_max_mb; /* 0: no limit */
	const struct config_strings *allow_images;
	bool allow_network; /* leased tasks may have what their `network` asks for */
	void *context;
	void (*on_change)(void *context); /* slots_status would answer differently now */
	void (*on_empty)(void *context);  /* the last slot has ended, and there is no task for them */
};

struct slots_status {
	unsigned active;   /* containers that run or are being ended */
	bool failing;      /* nothing can run: see error */
	const char *error; /* the image's or a slot's trouble; NULL without one */
	const char *pull;  /* the image pull's progress; NULL when none is under way */
};

/* The options' pointers must outlive the slots. */
struct slots *slots_new(uv_loop_t *loop, const struct slots_options *options);

/* A runtime that is ready for work, or NULL: it does not answer just now (workers stay as they are). node_id: who we are,
 * for names, labels and NODE_ID; it must outlive the slots. */
void slots_use_runtime(struct slots *slots, struct runtime *runtime, const char *node_id);

/* The task to work on, or NULL for none. The same one again changes nothing; another one ends what runs. */
void slots_set_task(struct slots *slots, const struct task_config *task);

/* SIGKILL to whatever is still ending; false where it had got that already. */
bool slots_hurry(struct slots *slots);

bool slots_are_empty(const struct slots *slots);
void slots_status(const struct slots *slots, struct slots_status *status);

/* Ends everything of its own at once; the runtime must be closed before. Frees itself on the loop. */
void slots_close(struct slots *slots);
