/* The gateway: the Redis-protocol endpoint that a node serves to its own workers, by the rules of
 * docs/architecture.md ("The worker's side"). One per agent; in it a gateway_slot for each start of a slot.
 *
 *   gateway_slot_new → gateway_slot_url into the container's environment → (gateway_slot_listen) → the worker runs
 *       → (gateway_slot_drain → on_idle → SIGTERM) → the worker has exited → gateway_slot_end */
#pragma once

#include "base/err.h"
#include "node/item_pool.h"

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

struct gateway;
struct gateway_slot;

/* NULL without memory. */
struct gateway *gateway_new(uv_loop_t *loop);

/* After all slots have ended. Frees itself on the loop. */
void gateway_close(struct gateway *gateway);

/* A listening descriptor (TCP or Unix) that all slots share: AUTH tells which one a connection belongs to. Taken over, also
 * after an error. */
int gateway_listen(struct gateway *gateway, int fd, struct err *err) MUST_CHECK;

struct gateway_slot_options {
	struct item_pool *pool;     /* must outlive the slot */
	const char *input_queue;    /* copied */
	const char *output_queue;   /* copied; NULL: the task has none */
	const char *exec;           /* copied; of tasks with exec: what gridexec is told (JSON). Then the password is good for one
	                               connection. NULL: an ordinary worker */
	int64_t concurrency;        /* 1: the worker is serial, though its client hops between connections; 0: not declared */
	int64_t item_timeout_ms;    /* 0: none */
	const char *subject;        /* for the log: "slot=0 task=…"; copied */
	void *context;
	/* An item is open for longer than item_timeout: kill the worker, then end the slot, whichever way it exits. Once. */
	void (*on_item_timeout)(void *context);
};

/* With a new password. NULL without memory. */
struct gateway_slot *gateway_slot_new(struct gateway *gateway, const struct gateway_slot_options *options);

/* "redis://:password@host:port/0" for the container's environment; free() it. NULL without memory. Holds the password:
 * never log it. */
char *gateway_slot_url(const struct gateway_slot *slot, const char *host, unsigned port);

/* A listening descriptor of this slot's own, passed by its pause container. Taken over, also after an error. */
int gateway_slot_listen(struct gateway_slot *slot, int fd, struct err *err) MUST_CHECK;

/* Items that the worker has open now. */
size_t gateway_slot_open(const struct gateway_slot *slot);

/* Whether the worker has finished an item since it started. */
bool gateway_slot_worked(const struct gateway_slot *slot);

/* Pops get nothing any more; a blocked one stays blocked. on_idle comes once, when no item is open: from the loop's next
 * turn on, never from inside. on_idle may be NULL. Undone by nothing. */
void gateway_slot_drain(struct gateway_slot *slot, void (*on_idle)(void *context));

enum gateway_end_kind {
	GATEWAY_EXITED,  /* by itself, with status 0: open items are done (rules 1, 4, 6) */
	GATEWAY_FAILED,  /* by itself, with another status, or out of memory: open items fail, charged */
	GATEWAY_STOPPED, /* after a signal of ours, or stopped or killed by anyone: open items return (rule 3) */
};

struct gateway_end {
	enum gateway_end_kind kind;
	/* Of FAILED, and for the items that go back charged in the other cases. */
	const char *reason;   /* NULL: "exit" */
	int exit_status;
	bool out_of_memory;
	const char *log_tail; /* NULL: none */
};

/* The worker has exited (or never started): decides on all that is open, closes its connections and its listener, and frees
 * the slot. Neither on_idle nor on_item_timeout comes after it. NULL is ignored. */
void gateway_slot_end(struct gateway_slot *slot, const struct gateway_end *end);
