/* The inside of a queue, shared by the files that work on it: queue.c (its life), queue_op.c (asking Redis), queue_lease.c
 * (leases and who waits for them), queue_commit.c, queue_progress.c, queue_share.c, queue_purge.c, queue_outbox.c. Nobody else includes this but
 * broker.c. */
#pragma once

#include "hub/broker/queue.h"
#include "hub/broker/redis_link.h"
#include "hub/broker/scripts.h"
#include "hub/failures.h"

#include <uv.h>

enum {
	MAX_LOSSES = 10,             /* an item that was lost so often with its node is a dead letter */
	AVOID_MS = 10 * 1000,        /* for so long another node has the first go at an item that failed */
	ALONE_MS = 60 * 1000,        /* for so long an item that failed together with others is run alone */
	EXEC_ALONE_MS = 24 * 60 * 60 * 1000, /* a batch of exec: a thousand of them take their time */
	QUEUE_TAG_SIZE = 9,
	CLEAN_SETTLES = 2,           /* in a row, and nothing is out any more */
};

/* What the queue's owner decides. */
struct queue_owner {
	void *context;
	int64_t lease_ms; /* the holder's period */
	/* The first of all queues; follow ->next. */
	struct queue *(*all)(void *context);
	/* Online nodes that could run the task. */
	size_t (*able_nodes)(void *context, const struct queue *queue);
	/* Nothing waits and nothing is leased, for as long as the task's auto_finish_after says. */
	void (*on_idle)(void *context, struct queue *queue);
	/* Results came to the output, or may have. */
	void (*on_results)(void *context, const struct queue *queue);
	/* A worker failed with one of the task's items, or its results were refused. */
	void (*on_failure)(void *context, const struct queue *queue, const struct failure *failure);
	/* SETTLED; the progress is final. The queue may be freed in here. */
	void (*on_settled)(void *context, struct queue *queue);
};

/* The first look's counters, which those of the task count from. */
struct queue_base {
	bool known, asked;
	int64_t counts[COUNTS];
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
	char tag[QUEUE_TAG_SIZE]; /* of the task, in the holders' names */
	bool paused;              /* RUNNING, and nothing is given */
	bool purging;             /* Redis is told to drop what is left */
	bool purge_told;          /* … and people, that it could not be done yet */
	bool reopened;            /* it had settled before: only its dead letters are of interest */
	char trouble[ERR_TEXT_MAX]; /* what Redis refused last; "": nothing */
	char refusal[ERR_TEXT_MAX + 32]; /* why it took no results (it is full), since it last took some; "": it does */
	char subject[LIMIT_TASK_NAME + 8]; /* for the log */

	struct queue_op *ops;     /* under way */
	struct queue_ready *ready; /* who waits for the link */

	struct lease_call *waits; /* held, in the order in which they came */
	struct lease_call *by_node; /* the same, by their node */
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
	json_t *saved;            /* of a reopened one: its numbers when it had settled */
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
	bool looked_clean;        /* a look was made after them */

	bool pumping;             /* the outbox */
	bool pump_again;          /* something may have come meanwhile */
	struct outbox_round *round; /* what the output's Redis is asked for just now */
	int64_t pumped_ms;
	struct queue *prev, *next;
	UT_hash_handle hh;        /* by task id */
};

/* ---- queue.c ---- */

/* NULL with err set. The task and the owner must outlive it. */
struct queue *queue_new(uv_loop_t *loop, const struct queue_owner *owner, const struct task *task, enum queue_state state,
			struct redis_link *link, struct redis_link *output, struct err *err);
/* Everything under way is told ERR_CANCELLED; frees itself on the loop. The links are released. */
void queue_close(struct queue *queue);
void queue_set_state(struct queue *queue, enum queue_state state);
void queue_set_paused(struct queue *queue, bool paused);
void queue_link_changed(struct queue *queue);
void queue_tick(struct queue *queue, int64_t now_ms);

/* The holder's node as the scripts know it: tasks that share a queue number their takes apart. */
enum { QUEUE_NODE_SIZE = LIMIT_NODE_ID + 1 + QUEUE_TAG_SIZE };
void queue_node_name(const struct queue *queue, const char *node, char into[QUEUE_NODE_SIZE]);

/* ---- queue_share.c ---- */

/* Whether another task is running on the same queue: nothing may be put back then. */
bool queue_in_use(const struct queue *queue);
/* Whether no other task that has begun works on the same queue, or only later ones. */
bool queue_settles_next(const struct queue *queue);
/* Where the counting of the task that came after this one on the same queue began; NULL: there is none, or nobody knows yet. */
const struct queue_base *queue_end_of_count(const struct queue *queue);
/* Whether any other task that has begun and not settled works on the same queue. */
bool queue_has_sharer(const struct queue *queue);
/* Whether the two names lie on the same keys though they are not the same queue: `x` and `{x}`. */
bool queue_collides(const struct queue *queue, const char *url, const char *input_queue);

/* ---- queue_op.c ---- */

/* The keys' common part; NULL without memory. */
char *queue_keys_of(const char *name);

/* A call with the queue's own two keys in front. */
void queue_call_init(struct queue *queue, struct script_call *call);

/* Asks. back_at: where the answer says how many items became free for others (-1: it does not); they are woken. on_answer may be
 * NULL. Takes the call's memory. NULL with err set. */
struct queue_op *queue_ask(struct queue *queue, struct script_call *call, enum broker_script script, size_t key_count,
			   int back_at, queue_on_reply *on_answer, void *context, struct err *err);
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
/* Redis refused to give: people see why, until it gives again. */
void queue_note_trouble(struct queue *queue, const struct err *err);
/* Whether items may be given now. */
bool queue_gives(const struct queue *queue);

/* Who waits is looked after at that time (monotonic) at the latest; too early does no harm. */
void queue_look_at(struct queue *queue, int64_t at_ms, int64_t now_ms);

/* ---- queue_block.c ---- */

/* Somebody waits: a new item shall wake the queue. */
void queue_block(struct queue *queue);
void queue_unblock(struct queue *queue);

/* ---- queue_calls.c ---- */

/* An item that no node can take becomes a dead letter. */
void queue_bury(struct queue *queue, const struct lease_call *holder, const struct resp_value *id, const char *reason);

/* ---- queue_progress.c ---- */

void queue_look(struct queue *queue, int64_t now_ms);
/* What only a task at work needs goes; its own counters go by themselves, in a while. */
void queue_forget_keys(struct queue *queue);
void queue_note_idle(struct queue *queue, int64_t now_ms);

/* ---- queue_purge.c ---- */

/* Drops what is left of a cancelled task; SETTLED when Redis has said that it is done. Called again until then. */
void queue_purge(struct queue *queue);
void queue_purge_close(struct queue *queue);

/* ---- queue_outbox.c ---- */

/* Brings what lies in the outbox to the output's Redis, for as long as there is something. */
void queue_pump(struct queue *queue);
void queue_outbox_close(struct queue *queue);
