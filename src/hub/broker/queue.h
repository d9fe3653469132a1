/* One leased task's queue: its items leave Redis only through here, and come to rest only through here.
 *
 *   WAITING --the task starts--> RUNNING --it ends--> DRAINING --no holder left, all is back (and purged)--> SETTLED
 *
 * WAITING    the task waits: only looked at
 * RUNNING    leases are given; none while the task is paused: calls are held as if nothing were there
 * DRAINING   no new leases; commits, failures and returns of what is out are taken, the overdue reaped, the rest put back
 * SETTLED    nothing of the task is on the books any more
 *
 * Everything is asked of Redis and answered exactly once, later or (a lease that is refused) from inside the call. What was asked
 * by somebody who has gone since is abandoned: it happens all the same, and nobody is told. */
#pragma once

#include "base/err.h"
#include "hub/task.h"
#include "net/resp.h"
#include "proto/lease_messages.h"
#include "proto/limits.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

struct queue;
struct queue_op;

enum queue_state { QUEUE_WAITING, QUEUE_RUNNING, QUEUE_DRAINING, QUEUE_SETTLED };

enum queue_count { COUNT_DONE, COUNT_FAILED, COUNT_EMPTY, COUNT_DUPLICATES, COUNT_LOST, COUNT_RETURNED, COUNTS };

/* How things stand, as of the last look. */
struct queue_progress {
	bool known;
	int64_t waiting, leased, dead, holders, outbox; /* now; dead: letters that lie there */
	int64_t counts[COUNTS];                         /* since the task began */
	double rate;                                    /* items done per second, over the last minute or so */
};

const struct task *queue_task(const struct queue *queue);
enum queue_state queue_state(const struct queue *queue);

/* Why nothing moves: its Redis does not answer, or refuses, with the reason; "" otherwise. */
const char *queue_blocked(const struct queue *queue);

const struct queue_progress *queue_progress(const struct queue *queue);

/* The "progress" of a task's details; a new reference, NULL without memory. */
json_t *queue_progress_json(const struct queue *queue);

/* ---- leases ---- */

/* A node's wish, owned by the asker until it is answered or abandoned. */
struct lease_call {
	char node[LIMIT_NODE_ID + 1];
	int64_t epoch, n, max, bytes;
	int64_t received_ms;   /* monotonic; the holder's deadline counts from here */
	int64_t deadline_ms;   /* monotonic; until when it may be held */
	int64_t not_before_ms; /* monotonic; a node that fails everything waits */
	void *context;
	void (*answer)(struct lease_call *call, enum lease_status status, int64_t waiting, const struct resp_value *items);
	/* items: NULL, or an array of id, payload, failures, flags for each item. */

	/* The queue's. */
	struct queue *queue;   /* NULL once it is answered */
	struct queue_op *op;   /* while Redis is asked */
	bool held;             /* in the list of the waiting */
	uint64_t wakes;        /* of the queue, when Redis was asked */
	struct lease_call *prev, *next;
	UT_hash_handle hh;     /* by node, while held */
};

/* An older call of the same node that waits is answered first, `empty`. False when it was answered from in here. */
bool queue_lease(struct queue *queue, struct lease_call *call);
void queue_lease_abandon(struct lease_call *call);

/* What waits is answered `empty`: something else has changed that the node must know. node NULL: everybody. */
void queue_release(struct queue *queue, const char *node);

/* ---- outcomes ---- */

/* results and messages (each NULL or text) for each outcome of the batch; or err: nothing is known, the node repeats. */
typedef void queue_on_commit(void *context, const struct commit_batch *batch, const enum outcome_result *results,
			     char *const *messages, const struct err *err);

/* Takes the batch over. NULL with err set when it cannot even be asked; NULL without, when nothing had to be asked and on_done
 * was called already. */
struct queue_commit *queue_commit(struct queue *queue, const char *node, const char *hostname, int64_t epoch,
				  struct commit_batch *batch, queue_on_commit *on_done, void *context, struct err *err);
void queue_commit_abandon(struct queue_commit *commit);

/* ---- the rest of the node's calls, and a person's ---- */

/* reply: what the script answers (docs/protocol.md): an array; or err. */
typedef void queue_on_reply(void *context, const struct resp_value *reply, const struct err *err);

void queue_op_abandon(struct queue_op *op);

struct queue_op *queue_inventory(struct queue *queue, const struct inventory_request *request, queue_on_reply *on_reply,
				 void *context, struct err *err);

/* A heartbeat's share: nobody is told. unopened: an array of ids. */
void queue_renew(struct queue *queue, const char *node, int64_t epoch, json_t *unopened);

/* Somebody who waits until it is known whether Redis answers. */
struct queue_ready {
	void *context;
	void (*on_ready)(void *context);
	struct queue_ready *prev, *next;
};

/* False: it is known already; ready is not called then. */
bool queue_wait_ready(struct queue *queue, struct queue_ready *ready);
void queue_unwait_ready(struct queue *queue, struct queue_ready *ready);

/* Items of one push, each brought in once: those that are in already are passed over. first: the first one's number within the
 * push; count 0: only asks. The reply: how many of the push are in, how many of these were brought in, and whether first is
 * beyond what is in (1: nothing has changed). What is given is copied. */
struct push_batch {
	const char *push; /* LIMIT_PUSH_ID letters, digits, "_" and "-" */
	int64_t first;
	const char *const *items;
	const size_t *lens;
	size_t count;
};
struct queue_op *queue_push(struct queue *queue, const struct push_batch *batch, queue_on_reply *on_reply, void *context,
			    struct err *err);

struct queue_op *queue_dead_list(struct queue *queue, int64_t cursor, int64_t count, queue_on_reply *on_reply, void *context,
				 struct err *err);
/* ids: an array of strings, or NULL for all (a thousand at a time, until the reply's `more` is 0). */
struct queue_op *queue_dead_retry(struct queue *queue, json_t *ids, queue_on_reply *on_reply, void *context, struct err *err);
struct queue_op *queue_dead_drop(struct queue *queue, json_t *ids, queue_on_reply *on_reply, void *context, struct err *err);
