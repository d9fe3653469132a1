/* A slot's seat at the gateway: what a leased task adds to a slot. It makes the slot's service when the first worker is to start,
 * keeps it over the workers' lives, and gives it up when the slot is empty. In direct delivery it stays unused. */
#pragma once

#include "base/err.h"
#include "node/leases.h"
#include "node/slot.h"
#include "node/slot_service.h"

#include <stdbool.h>
#include <uv.h>

struct seat {
	struct slot *slot;
	uv_loop_t *loop;
	struct leases *leases;
	struct slot_service *service; /* NULL: none */
	bool closing;                 /* the service is: on_closed clears both */
	bool lost;                    /* the service is of no use any more: it goes as soon as no worker is in it */
	bool exited_well;             /* the last worker did: the next one starts only when there are items */
	struct err trouble;           /* why it was lost */
	void *context;
	void (*on_closed)(void *context); /* a service is gone: what waited for that may go on */
};

void seat_init(struct seat *seat, struct slot *slot, uv_loop_t *loop, struct leases *leases, void (*on_seat_closed)(void *context),
	       void *context);

/* The address for a worker that is to start now; free() it. NULL with err set: ERR_UNREACHABLE while something is missing that will
 * end the slot's wait itself. Paired with seat_end. */
char *seat_take(struct seat *seat, const struct task_config *task, struct runtime *runtime, const char *node_id, struct err *err);

/* Where that worker is to live; NULL: no place of its own. */
struct place *seat_place(const struct seat *seat);

/* The two calls of struct slot_owner. */
bool seat_drain(struct seat *seat);
bool seat_end(struct seat *seat, const struct worker_exit *result, bool stopped);

/* The slot's state has changed. */
void seat_follow(struct seat *seat);

/* Whether leased delivery is on here: a worker of it runs, or may. */
bool seat_is_taken(const struct seat *seat);

/* Whether nothing is left of a service. */
bool seat_is_free(const struct seat *seat);

/* The loop ends; after the runtime is closed. */
void seat_drop(struct seat *seat);
