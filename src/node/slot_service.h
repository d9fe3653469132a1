/* What the workers of one slot are served with in leased delivery of one task: the place where they meet the gateway, which
 * outlives them, and the gateway's side of the worker that runs now. */
#pragma once

#include "base/err.h"
#include "node/leases.h"
#include "node/runtime/runtime.h"

#include <stdbool.h>
#include <uv.h>

struct slot_service;

struct slot_service_options {
	struct leases *leases;
	const struct task_config *task; /* what is needed of it is copied */
	const struct runtime_ops *ops;
	struct runtime *runtime;
	const char *node_id;
	unsigned instance;

	void *context;
	/* A worker may start now. Never from inside. */
	void (*on_ready)(void *context);
	/* The place is gone, or could not be made: what runs in it ends by itself; close the service and make another. */
	void (*on_lost)(void *context, const struct err *err);
	/* There is an item again, after slot_service_await. */
	void (*on_items)(void *context);
	/* The worker has an item for too long: kill it. */
	void (*on_item_timeout)(void *context);
	/* After slot_service_close; the service is gone when it returns. */
	void (*on_closed)(void *context);
};

/* NULL with err set. The options' pointers must outlive it. */
struct slot_service *slot_service_new(uv_loop_t *loop, const struct slot_service_options *options, struct err *err);

/* Closes the place and lets go of the task; no worker may run in it. Only on_closed comes any more. */
void slot_service_close(struct slot_service *service);

/* At once, without a word: the loop ends. After the runtime is closed. */
void slot_service_drop(struct slot_service *service);

bool slot_service_is_ready(const struct slot_service *service);

/* The place for worker_spec; NULL where the runtime has none. */
struct place *slot_service_place(const struct slot_service *service);

/* A new worker begins: the address for its environment, with a password made for it. free() it; NULL with err set. Paired with
 * slot_service_end. */
char *slot_service_begin(struct slot_service *service, struct err *err);
/* Returns whether that worker had finished an item before. */
bool slot_service_end(struct slot_service *service, const struct gateway_end *end);

/* The worker's pops get nothing any more; on_idle when it has no item open. False where it has none now, or none runs. */
bool slot_service_drain(struct slot_service *service, void (*on_idle)(void *context));

/* Whether there may be items, or the hub has not said. Else on_items tells when there are. */
bool slot_service_await(struct slot_service *service);
