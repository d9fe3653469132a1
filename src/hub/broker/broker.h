/* The broker: all leased tasks' queues, and the Redis servers behind them. */
#pragma once

#include "base/config.h"
#include "base/err.h"
#include "hub/broker/queue.h"
#include "hub/failures.h"
#include "hub/broker/results.h"
#include "hub/task.h"

#include <uv.h>

struct broker;

struct broker_options {
	const char *redis_url;                     /* for tasks that name none; "" none */
	const struct config_strings *redis_hosts;  /* patterns; empty: any host */
	bool allow_link_local;
	int64_t lease_ms;                          /* how long a silent node keeps its items */

	void *context;
	/* Online nodes that understand leases and could run the task. */
	size_t (*able_nodes)(void *context, const struct task *task);
	/* auto_finish: nothing is left to do. */
	void (*on_idle)(void *context, const struct task *task);
	/* An attempt with one of the task's items failed. */
	void (*on_failure)(void *context, const struct task *task, const struct failure *failure);
	/* Nothing of the task is on the books any more: its final numbers, borrowed. */
	void (*on_settled)(void *context, const struct task *task, json_t *progress);
};

/* The options' pointers must outlive the broker. */
struct broker *broker_new(uv_loop_t *loop, const struct broker_options *options);
void broker_close(struct broker *broker);

/* Whether the broker could serve the task: it has a Redis, on a host that is allowed. Says nothing about whether it answers. */
int broker_check(const struct broker *broker, const struct task_spec *spec, struct err *err) MUST_CHECK;

/* Whether an input or output queue of one is one of the other's: the same name at the same Redis. */
bool broker_shares(const struct broker *broker, const struct task_spec *a, const struct task_spec *b);

/* Whether the task, of whatever delivery, would use a queue that is still to be emptied (a purge). */
int broker_check_purges(const struct broker *broker, const struct task_spec *spec, struct err *err) MUST_CHECK;

/* The task's status has changed, or it is paused or resumed, or it is new, or it was loaded. Direct tasks have no queue; nor has one
 * that has ended and settled. */
void broker_task_changed(struct broker *broker, const struct task *task);

/* The task will be gone. */
void broker_task_forgotten(struct broker *broker, const struct task *task);

/* NULL where there is none: a direct task, an unknown one, or one that has settled. */
struct queue *broker_queue(const struct broker *broker, const char *task_id);

/* The same, but a settled task's queue is opened again: for its dead letters. NULL with err set. */
struct queue *broker_reopen(struct broker *broker, const struct task *task, struct err *err);

/* Asks for the task's results, also those of a direct task and of a settled one: as results_ask. */
bool broker_ask_results(struct broker *broker, const struct task *task, struct results_call *call, struct err *err);

/* All held lease calls of this node (NULL: of all nodes) are answered: something has changed that it must know. */
void broker_release(struct broker *broker, const char *node);

/* Once a second. */
void broker_tick(struct broker *broker, int64_t now_ms);
