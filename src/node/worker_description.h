/* What a slot's container is made from: the task's side of it (environment, names, labels) put into the form that a
 * runtime takes. */
#pragma once

#include "node/cpus.h"
#include "node/runtime/runtime.h"
#include "proto/task_config.h"

/* By these a later run of the agent finds its own containers: all that carry LABEL_NODE with its id. */
#define LABEL_NODE "idm-gridcore.node"
#define LABEL_TASK "idm-gridcore.task"
#define LABEL_INSTANCE "idm-gridcore.instance"

struct worker_description;

/* Who runs it, and where. */
struct worker_home {
	const char *node_id;
	unsigned instance;
	const char *platform;
	const struct cpus *cpus;
	int64_t memory_mb;
	const char *gateway_url; /* leased: what the worker takes for Redis; NULL: the task's own Redis */
	struct place *place;     /* leased: where the gateway listens; NULL: no place of its own */
};

/* NULL with err set when it cannot be described. */
struct worker_description *worker_description_new(const struct task_config *task, const struct worker_home *home,
						  struct err *err);
void worker_description_free(struct worker_description *description);

/* Borrowed from the description and its task. */
const struct worker_spec *worker_description_spec(const struct worker_description *description);

/* "idm-{task}-{node}-{instance}" with every character that engines refuse in a name as '-'. */
void worker_name(const char *task, const char *node_id, unsigned instance, char *into, size_t size);
