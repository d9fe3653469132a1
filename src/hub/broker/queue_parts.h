/* The inside of a queue, shared by the files that work on it: queue.c (its life), queue_op.c (asking Redis), queue_lease.c
 * (leases and who waits for them), queue_commit.c, queue_progress.c, queue_outbox.c. Nobody else includes this but broker.c. */
#pragma once

#include "hub/broker/queue.h"
#include "hub/broker/redis_link.h"
#include "hub/broker/scripts.h"

#include <uv.h>

enum {
	MAX_LOSSES = 10,             /* an item that was lost so often with its node is a dead letter */
	AVOID_MS = 10 * 1000,        /* for so long another node has the first go at an item that failed */
	ALONE_MS = 60 * 1000,        /* for so long an item that failed together with others is run alone */
	SEED_SIZE = 33,
};

/* What the queue's owner decides. */
struct queue_owner {
	void *context;
	int64_t lease_ms; /* the holder's period */
	/* Online nodes that could run the task. */
	size_t (*able_nodes)(void *context, const struct queue *queue);
	/* Nothing waits and nothing is leased, for as long as the task's auto_finish_after says. */
	void (*on_idle)(void *context, struct queue *queue);
	/* SETTLED; the progress is final. The queue may be freed in here. */
	void (*on_settled)(void *context, struct queue *queue);
};

/* The first look's counters, which those of the task count from. */
struct queue_base {
	bool known, asked;
	int64_t done, failed, empty, duplicates, lost, returned;
};

struct queue {
	uv_loop_t *loop;
	const struct queue_owner *owner;
	const struct task *task;  /* outlives the queue */
	enum queue_state state;
	char *keys;               /* "{name}:idm:" */
	struct redis_link *link;  /* of the input */
	struct redis_link *output; /* of an output elsewhere, or NULL */
	char *destination;        /* the output's name in the outbox; "" where it is on the same Redis */
	char subject[LIMIT_TASK_NAME + 8]; /* for the log */

	struct queue_op *ops;     /* under way */

	struct lease_call *waits; /* held, in the order in which they came */
	struct lease_call *serving; /* the held call that Redis is asked for just now, taken out of waits */
	size_t pass_left;         /* how many of the waiting this pass still tries */
	uint64_t wakes;           /* grows with everything that may let a waiting call succeed */
	int64_t waiting;          /* as of the last answer; -1 unknown */
	uv_timer_t wait_timer;    /* the next deadline, or the next item that becomes free for another node */
	int64_t next_free_ms;     /* monotonic; 0: none */
	struct redis_client *blocker; /* waits for the next item; NULL until somebody waits */
	bool blocking;            /* its BLMOVE is under way */

	struct queue_progress progress;
	struct queue_base base;
	int64_t looked_ms;        /* monotonic; the last look */
	bool looking;
	int64_t rate_ms;          /* when rate_done was taken */
	int64_t rate_done;
	int64_t idle_since_ms;    /* 0: not idle */
	bool idle_told;

	bool started;             /* reap was called with start since the link came up */
	bool reaping, settling;
	int64_t reaped_ms;
	unsigned clean_settles;   /* in a row: a late blocking move is seen by the second */

	bool pumping;             /* the outbox */
	struct outbox_round *round; /* what the output's Redis is asked for just now */
	int64_t pumped_ms;
	unsigned handles;
	struct queue *prev, *next;
};

/* ---- queue.c ---- */

/* NULL with err set. The task and the owner must outlive it. */
struct queue *queue_new(uv_loop_t *loop, const struct queue_owner *owner, const struct task *task, enum queue_state state,
			struct redis_link *link, struct redis_link *output, struct err *err);
/* Everything under way is told ERR_CANCELLED; frees itself on the loop. The links are released. */
void queue_close(struct queue *queue);
void queue_set_state(struct queue *queue, enum queue_state state);
void queue_link_changed(struct queue *queue);
void queue_tick(struct queue *queue, int64_t now_ms);

/* ---- queue_op.c ---- */

/* A call with the queue's own two keys in front. */
void queue_call_init(struct queue *queue, struct script_call *call);

/* Asks. back_at: where the answer says how many items became free for others (-1: it does not); they are woken. on_reply may be
 * NULL. Takes the call's memory. NULL with err set. */
struct queue_op *queue_ask(struct queue *queue, struct script_call *call, enum broker_script script, size_t key_count,
			   int back_at, queue_on_reply *on_reply, void *context, struct err *err);
void queue_ops_cancel(struct queue *queue);

/* Element i of an array reply as a number; 0 where it is none. */
int64_t reply_number(const struct resp_value *reply, size_t i);
/* Element i as an array; NULL where it is none. */
const struct resp_value *reply_array(const struct resp_value *reply, size_t i);

/* ---- queue_lease.c ---- */

/* Something became free: the waiting are served. */
void queue_wake(struct queue *queue);
void queue_leases_init(struct queue *queue);
/* Answers all that wait. */
void queue_leases_end(struct queue *queue, enum lease_status status);
void queue_leases_close(struct queue *queue);
void queue_block(struct queue *queue);

/* ---- queue_progress.c ---- */

void queue_look(struct queue *queue, int64_t now_ms);
/* The task's own key goes away by itself, in a while. */
void queue_forget_base(struct queue *queue);
void queue_note_idle(struct queue *queue, int64_t now_ms);

/* ---- queue_outbox.c ---- */

/* Brings what lies in the outbox to the output's Redis, for as long as there is something. */
void queue_pump(struct queue *queue);
void queue_outbox_close(struct queue *queue);
