/* The items of one leased task that this node holds, from the lease until their outcome is acknowledged: leases, prefetch,
 * commits, inventory (docs/protocol.md). One per leased task that the node works on or still drains.
 *
 * It has no sockets: calls to the hub leave through struct hub_ops. It never calls back from inside of a call of its user,
 * but where that is said. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "net/http_client.h"
#include "node/item.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct item_pool;

/* One POST to the hub. The strings and the body live as long as start runs. */
struct hub_post {
	const char *path; /* with its query: "/gridnode/commit?task_id=…&epoch=…" */
	const char *content_type;
	const char *body;
	size_t body_len;
	int64_t timeout_ms;
	size_t max_answer; /* bytes */
	void *context;
	/* Exactly once unless cancelled, never from inside start. */
	void (*on_done)(void *context, const struct http_result *result);
};

struct hub_ops {
	/* A handle, or NULL where the call cannot even begin. Adds server, authorization and so on. */
	void *(*start)(void *context, const struct hub_post *post);
	/* No on_done any more. */
	void (*cancel)(void *context, void *call);
};

struct item_pool_options {
	const char *task_id; /* copied */
	const char *node_id; /* copied, as the epoch: item_pool_identify changes them */
	int64_t epoch;
	int64_t version; /* of the task call that brought the task; item_pool_set_version changes it */
	const struct hub_ops *hub;
	void *hub_context;
	size_t batch;    /* items that a worker takes at once, as far as there are so many; 0: 1 */
	size_t max_kept; /* bytes of outcomes kept while the hub is away; 0: 64 MiB */
	int64_t (*now_ms)(void); /* NULL: clock_monotonic_ms */

	void *context;
	/* A later epoch of this node has begun. accepted: the hub has taken this epoch before, so another agent has our id.
	 * The pool asks for nothing more until item_pool_identify. */
	void (*on_superseded)(void *context, bool accepted);
	/* The hub does not know this node (404), or not its secret (401): register. The pool goes on asking, with pauses. */
	void (*on_unknown)(void *context);
	/* The task call should be made again, since a lease answer says another version or a stop. NULL if nobody cares. */
	void (*on_news)(void *context, int64_t version, bool stop_requested);
};

/* NULL without memory. */
struct item_pool *item_pool_new(uv_loop_t *loop, const struct item_pool_options *options);

/* Cancels what runs, forgets everything; frees itself on the loop. No slot may use it any more. */
void item_pool_close(struct item_pool *pool);

/* Who we are now. Another epoch or id starts the numbers anew. */
void item_pool_identify(struct item_pool *pool, const char *node_id, int64_t epoch);
void item_pool_set_version(struct item_pool *pool, int64_t version);

/* No items any more: the outstanding lease call is given up, what no worker has seen goes back. on_drained comes once, when
 * no item is open, every outcome is acknowledged and the inventory too; never from inside. With `leave` the last inventory
 * says that the agent ends. Calling it again with `leave` adds that. */
void item_pool_drain(struct item_pool *pool, bool leave, void (*on_drained)(void *context));

/* ---- for heartbeats ---- */

struct item_pool_counters {
	uint64_t leased;     /* items that came */
	uint64_t done;       /* items whose commit was accepted */
	uint64_t empty;      /* … of these, without any write */
	uint64_t failed;
	uint64_t returned;
	uint64_t duplicates; /* outcomes: somebody else was first */
	uint64_t refused;    /* outcomes that the hub could not write */
	uint64_t concurrent; /* closes that landed the writes of items still open (rule 5) */
};

struct item_pool_status {
	struct item_pool_counters counters;
	size_t unopened;
	size_t open;
	size_t kept;      /* outcomes that are not acknowledged */
	int64_t waiting;  /* at the hub, as it said last; -1: never */
	bool blocked;     /* the hub cannot reach the task's Redis */
	bool closed;      /* the task has ended, or the hub has forgotten it */
	bool accepted;    /* the hub has taken our epoch */
	bool full;        /* max_kept is reached: pops wait */
};

void item_pool_status(const struct item_pool *pool, struct item_pool_status *status);

/* {"task_id", "unopened": [id, …]} of docs/protocol.md, or NULL where nothing is held (or no memory). A new reference. */
json_t *item_pool_holding(const struct item_pool *pool);

/* ---- for the gateway ---- */

/* A slot, as the pool sees it. Zeroed before its first use. */
struct item_taker {
	size_t open;        /* items that it has taken and not given back */
	size_t open_alone;  /* of these: alone */
	int64_t alone_ms;   /* since when; defined while open_alone is not 0 */
};

void item_pool_attach(struct item_pool *pool, struct item_taker *taker);
void item_pool_detach(struct item_pool *pool, struct item_taker *taker); /* has nothing open */

/* Somebody who waits for items. */
struct item_want {
	struct item_want *next, *prev;
	struct item_taker *taker;
	size_t min;      /* so many, or what is here once the hub has no more at once; at least 1. 0: only asks how many wait */
	size_t max;
	bool blocking;   /* waits for ever; else gets an empty list after the hub said so */
	bool waiting;    /* registered */
	bool fresh;      /* the pool's: not yet covered by a call to the hub that began after it */
	bool settled;    /* the pool's: the hub has no more at once (item_pool_fill.c) */
	/* The want is off the list. Items are the callee's. Comes from the loop, never from inside. */
	void (*on_items)(struct item_want *want, struct item_list *items);
};

/* What can be had at once: `min` … `max` items, or none. */
size_t item_pool_pop(struct item_pool *pool, struct item_taker *taker, size_t min, size_t max, struct item_list *into);

void item_pool_want(struct item_pool *pool, struct item_want *want);
void item_pool_unwant(struct item_pool *pool, struct item_want *want); /* also one that does not wait */

/* Was not delivered: goes to the next who wants one, as if it had never been popped. */
void item_pool_put_back(struct item_pool *pool, struct item_taker *taker, struct item *item);

/* Writes of a worker: commands in RESP, one behind the other. */
struct writes {
	struct buf bytes;
	size_t count;
	size_t values; /* RESP values in them, arrays counted too */
};

void writes_init(struct writes *writes);
void writes_done(struct writes *writes);

/* The outcomes. Each takes over all items of the list (none may be on it: then nothing happens), and the writes. */
void item_pool_done(struct item_pool *pool, struct item_taker *taker, struct item_list *items, struct writes *writes);
/* error: JSON text, copied. */
void item_pool_fail(struct item_pool *pool, struct item_taker *taker, struct item_list *items, const char *error);
void item_pool_return(struct item_pool *pool, struct item_taker *taker, struct item_list *items);

/* Writes that belong to no item. ERR_TOO_BIG where max_kept is reached: they are not taken then. */
int item_pool_write(struct item_pool *pool, struct writes *writes) MUST_CHECK;

/* How long a worker had an item, for the prefetch. */
void item_pool_note_service(struct item_pool *pool, uint64_t ns, size_t items);

void item_pool_note_concurrent(struct item_pool *pool);

/* Items that a worker may still see: the hub's last count, and what is unopened here. -1: the hub has not said. */
int64_t item_pool_count(const struct item_pool *pool);

/* What the pool's timer does; for tests that bring their own clock. */
void item_pool_step(struct item_pool *pool);
