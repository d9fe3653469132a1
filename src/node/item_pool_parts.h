/* The pool's own inside, shared by the files that make it up: item_pool.c (items and who wants them), item_pool_fill.c (who wants
 * many), item_pool_lease.c, item_pool_commit.c, item_pool_inventory.c. For nobody else. */
#pragma once

#include "base/backoff.h"
#include "node/item_pool.h"
#include "proto/lease_messages.h"

#include <uthash.h>

/* One repeated call to the hub. */
struct pool_call {
	void *handle;           /* while it is under way */
	struct backoff backoff;
	int64_t not_before_ms;  /* monotonic; the next one waits until then */
	int64_t started_ms;
};

/* What is told to the hub about some items, until it is acknowledged. */
struct outcome_kept {
	struct outcome_kept *next;
	enum outcome_kind kind;
	struct item_list items; /* none for writes of their own */
	struct writes writes;   /* of done and write */
	int64_t number;         /* of write */
	char *error;            /* of fail: JSON text */
	size_t size;            /* bytes that count against max_kept */
	size_t values;          /* RESP values that it takes in a batch */
};

enum intake {
	INTAKE_OPEN,
	INTAKE_SUPERSEDED, /* until item_pool_identify */
	INTAKE_CLOSED,     /* the task has ended */
	INTAKE_LOST,       /* the hub does not know the task any more */
};

struct item_pool {
	struct item_pool_options options;
	char *task_id;
	char node_id[LIMIT_NODE_ID + 1];
	char subject[LIMIT_TASK_NAME + 16]; /* for the log */
	uv_timer_t timer;
	int64_t due_ms;            /* when the timer runs out; INT64_MAX: never */
	struct item *by_id;        /* all but those whose fail or return is under way (R4) */
	struct item_list unopened; /* in the order in which they came */
	size_t unopened_bytes;
	size_t low_water;          /* from so many unopened ones downwards the next lease may be due */
	size_t open;
	struct item_want *first_want, *last_want;
	size_t takers;
	struct item_pool_counters counters;
	enum err_code trouble;     /* what was last said about the hub */

	/* Leases. */
	enum intake intake;
	struct pool_call lease;
	int64_t n;                 /* of the next call, or of the one under way */
	int64_t lease_wait_s;      /* of the one under way */
	size_t lease_max;          /* items that it asks for */
	size_t lease_got;          /* items that the last answer brought */
	int64_t polled_ms;         /* when the last call began that was not held and found nothing */
	int64_t jump;              /* after `stale`: how far n goes ahead */
	int64_t waiting;           /* at the hub; -1: not known */
	bool accepted, blocked;
	uint64_t service_ns;       /* for how long a worker has an item; 0: not known */
	int64_t rtt_ms;            /* of calls that were not held; -1: not known */

	/* Outcomes. */
	struct pool_call commit;
	struct outcome_kept *first, *last;
	size_t kept_count, kept_bytes;
	struct buf batch;          /* what is under way, until it is answered */
	size_t batch_count;        /* outcomes in it; 0: none is under way */
	size_t batch_max;          /* 1 after the hub has refused a whole batch */
	int64_t next_loose;        /* number of the next write of its own */

	/* Inventory. */
	struct pool_call inventory;
	int64_t audit_ms;          /* monotonic; when the next one is due */
	bool inventory_wanted;
	bool inventory_leaves;     /* the one under way says so */

	/* The end. */
	bool draining, leave, left;
	void (*on_drained)(void *context);
	bool closing;
};

int64_t pool_now(const struct item_pool *pool);

/* The pool's step runs at this time at the latest. */
void pool_schedule(struct item_pool *pool, int64_t at_ms);

/* NULL when it cannot begin; a pause has been set then. */
bool pool_call_start(struct item_pool *pool, struct pool_call *call, const struct hub_post *post);

/* The call has ended without an answer that counts: says so once, and sets the pause. */
void pool_call_failed(struct item_pool *pool, struct pool_call *call, const struct http_result *result,
		      const char *what);

/* It has ended well. */
void pool_call_done(struct item_pool *pool, struct pool_call *call);

/* The hub knows neither task nor items: drops what nobody will ever ask for. */
void pool_lose(struct item_pool *pool);

/* Whether this is the hub's 404 for the task; tells on_unknown for a node that must register. */
bool pool_answer_loses(struct item_pool *pool, const struct http_result *result);

/* The item is here: in the table by id. False without memory. */
bool pool_know(struct item_pool *pool, struct item *item) MUST_CHECK;
void pool_forget(struct item_pool *pool, struct item *item); /* out of the table */
struct item *pool_find(struct item_pool *pool, const char *id, size_t id_len);
void pool_free_items(struct item_pool *pool, struct item_list *items);

/* What those who wait can be told. */
enum serving {
	SERVE_ITEMS,   /* what is here */
	SERVE_COUNT,   /* a call was answered: those it covered and who only asked how many there are hear it */
	SERVE_NOTHING, /* … and it said that there is nothing: who does not wait and was covered gets nothing */
};
void pool_serve(struct item_pool *pool, enum serving serving);

/* Those who must be answered before the hub's answer to a held call. */
bool pool_has_impatient(const struct item_pool *pool);
size_t pool_wanted(const struct item_pool *pool);

/* item_pool_fill.c */
bool pool_has_enough(const struct item_pool *pool, const struct item_taker *taker, size_t min);
/* What it is content with now. */
size_t pool_fill_min(const struct item_want *want);
/* A call was answered: those that it covered know whether there is more. */
void pool_fill_settle(struct item_pool *pool, bool no_more);
/* Somebody waits for more than is here: the hub shall answer at once. */
bool pool_fill_is_urgent(const struct item_pool *pool);
void pool_fill_step(struct item_pool *pool, int64_t now);
/* So many items ahead, rounded to what workers take at once. */
size_t pool_fill_whole(const struct item_pool *pool, size_t items, size_t most);

void pool_lease_step(struct item_pool *pool, int64_t now);
void pool_lease_give_up(struct item_pool *pool);
void pool_commit_step(struct item_pool *pool, int64_t now);
void pool_commit_drop(struct item_pool *pool); /* all outcomes */
bool pool_is_full(const struct item_pool *pool);
void pool_inventory_step(struct item_pool *pool, int64_t now);

static inline void pool_average(int64_t *average, int64_t sample)
{
	*average = *average < 0 ? sample : (*average * 7 + sample) / 8;
}
