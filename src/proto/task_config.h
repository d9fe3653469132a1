/* A task as a node gets it: the part that this node's platform needs. The seed's six fields keep their names. */
#pragma once

#include "base/err.h"
#include "proto/task_spec.h"

#include <jansson.h>
#include <stdbool.h>

/* What the hub sends: an object, or JSON null where the task has nothing that the node could run: no image for its
 * platform (NULL: none is made for it) and, for one that runs plain processes, no command. A new reference; NULL without
 * memory. task_id tells two tasks of one name apart. delivery: the task's own, or direct for a node that does not
 * understand leases; only direct delivery carries the addresses of Redis, and a task with exec has nothing for it. */
json_t *task_config_encode(const struct task_spec *spec, const char *task_id, const char *platform, bool runs_processes,
			   enum delivery delivery);

/* What a node keeps. All borrowed from `object`, which it holds a reference to. */
struct task_config {
	json_t *object;
	const char *task_id; /* NULL from a seed hub */
	const char *task_name;
	const char *image;    /* NULL: none for this platform; then there is a command, or exec */
	const char *input_redis, *output_redis; /* NULL where the task has none */
	const char *input_queue, *output_queue;
	json_t *command;      /* or NULL */
	json_t *env;          /* or NULL */
	json_int_t memory_mb; /* 0: the node's own default */
	json_int_t cpus;

	enum delivery delivery;
	/* Of leased delivery; as in struct task_spec. */
	enum task_network network;
	json_int_t concurrency;
	json_int_t item_timeout_s;
	struct exec_spec exec; /* exec.command is NULL: none */
};

/* object: not null. config can be done with in both cases. */
int task_config_parse(json_t *object, struct task_config *config, struct err *err) MUST_CHECK;
void task_config_done(struct task_config *config);

/* Whether both say the same in every field. */
bool task_config_equal(const struct task_config *a, const struct task_config *b);
