/* Leased delivery on this node: the gateway, and a pool of items for each leased task that is worked on or still drains. */
#pragma once

#include "base/err.h"
#include "node/gateway/gateway.h"
#include "node/item_pool.h"
#include "proto/task_config.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct leases;
struct leased_task;

struct leases_options {
	const struct hub_ops *hub;
	void *hub_context;
	void *context;
	/* As in item_pool.h. */
	void (*on_superseded)(void *context, bool accepted);
	void (*on_unknown)(void *context);
	void (*on_news)(void *context, int64_t version, bool stop_requested);
	/* After leases_leave: nothing of any task is here any more. */
	void (*on_left)(void *context);
};

/* NULL without memory. */
struct leases *leases_new(uv_loop_t *loop, const struct leases_options *options);

/* Forgets everything; frees itself on the loop. No slot may use it any more. */
void leases_close(struct leases *leases);

/* Who we are, and the version of the task that the hub told last: for all pools, now and later. */
void leases_identify(struct leases *leases, const char *node_id, int64_t epoch);
void leases_set_version(struct leases *leases, int64_t version);

/* The one listener for slots without a place of their own, on 127.0.0.1; opened at the first call. 0 with err set. */
unsigned leases_shared_port(struct leases *leases, struct err *err);

struct gateway *leases_gateway(const struct leases *leases);

/* The task's pool, made if need be; every call is paired with one of leased_task_release. NULL without memory. */
struct leased_task *leases_take(struct leases *leases, const struct task_config *config);
void leased_task_release(struct leased_task *task);

struct item_pool *leased_task_pool(const struct leased_task *task);

/* No more items for it: it goes when its last slot has let go of it and its outcomes are told. */
void leased_task_retire(struct leased_task *task);

/* The agent ends: every task is retired, and the hub told that the node leaves; then on_left. */
void leases_leave(struct leases *leases);

/* The heartbeat's "holding"; NULL where nothing is held, or without memory. A new reference. */
json_t *leases_holding(const struct leases *leases);
