/* A slot: one CPU's place on this machine, in which one container of the current task runs, again and again. */
#pragma once

#include "base/backoff.h"
#include "node/runtime/runtime.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum slot_state {
	SLOT_EMPTY,    /* waits for a job */
	SLOT_CREATING, /* waits for on_started */
	SLOT_RUNNING,  /* waits for on_exit */
	SLOT_DRAINING, /* to be asked to end as soon as it has nothing in its hands; waits for slot_drained, or for a while */
	SLOT_STOPPING, /* asked to end; waits for on_exit, or for the next harder step */
	SLOT_REMOVING, /* waits for on_removed */
	SLOT_BACKOFF,  /* waits for its timer, to start again */
};

struct slot;

/* What the slots' owner does for each of them. */
struct slot_owner {
	void *context;
	/* Describes the slot's next container and hands it to `start`; returns what start returned. */
	struct worker *(*start_worker)(void *context, struct slot *slot, const struct worker_events *events,
				       struct err *err);
	/* The worker shall get no more work; true: slot_drained tells when it has nothing in its hands. False: it has nothing,
	 * or nobody can tell. */
	bool (*drain)(void *context, struct slot *slot);
	/* A worker that was handed out is over, once for each: how it exited, or NULL where nobody knows or it never ran. stopped:
	 * by a signal of ours, or by somebody else, so that its exit says nothing about its work. Returns whether it is known to
	 * have done some: its successor need not wait, then. */
	bool (*on_end)(void *context, struct slot *slot, const struct worker_exit *result, bool stopped);
	/* The state or the error has changed. When it is EMPTY, slot_run may follow from inside. */
	void (*on_change)(void *context, struct slot *slot);
};

enum { SLOT_ERROR_MAX = 1536 };

struct slot {
	unsigned index;  /* INSTANCE_ID */
	const struct runtime_ops *runtime;
	const struct slot_owner *owner;
	enum slot_state state;
	struct worker *worker;     /* from CREATING to REMOVING */
	bool retiring;             /* after removal: EMPTY, not BACKOFF */
	bool killed;               /* STOPPING: SIGKILL was sent */
	bool signalled;            /* since CREATING: a signal of ours */
	int64_t kill_after_ms;     /* from SIGTERM to SIGKILL; defined while retiring */
	const char *kill_reason;   /* why it is killed though it is not retiring; else NULL */
	int64_t started_ms;        /* monotonic; defined from RUNNING on */
	int64_t pause_ms;          /* defined in REMOVING: how long BACKOFF will last */
	struct backoff after_success; /* pauses after quick ends with status 0 */
	struct backoff after_failure;
	char subject[96];          /* for the log: "slot=0" */
	char error[SLOT_ERROR_MAX]; /* how the last container failed; "" when it did not */
	int error_code;            /* of a start that failed; else 0 */
	uv_timer_t timer;
};

void slot_init(struct slot *slot, unsigned index, uv_loop_t *loop, const struct runtime_ops *runtime,
	       const struct slot_owner *owner);

/* Only when EMPTY: runs containers until it is retired. */
void slot_run(struct slot *slot);

/* Asks what runs to end: SIGTERM as soon as it has nothing in its hands, drain_ms from now at the latest; SIGKILL kill_after_ms
 * after that; then EMPTY. A backoff ends at once. */
void slot_retire(struct slot *slot, int64_t drain_ms, int64_t kill_after_ms);

/* What the owner's drain promised. */
void slot_drained(struct slot *slot);

/* SIGKILL now to what runs; it is no success, and another one starts. reason: a text that lives for ever. */
void slot_kill(struct slot *slot, const char *reason);

/* SIGKILL now, if it is being ended; false where there is nothing to hurry. */
bool slot_hurry(struct slot *slot);

/* Ends a backoff: something has changed that lets the next start succeed. */
void slot_retry(struct slot *slot);

/* What it waits for in a backoff has failed: the wait goes on, and grows. Nothing in another state. */
void slot_fail(struct slot *slot, const struct err *err);

/* Only when EMPTY, or when the runtime was closed before. The memory must live until on_closed, which gets the timer, whose
 * data is the slot. */
void slot_close(struct slot *slot, uv_close_cb on_closed);
