/* Items into a task, through the hub: in pieces of bounded size, one after the other, each repeated until the hub has it, and
 * none twice: the hub counts what it has of a push, by the push's id.
 *
 *   GATHERING --a piece is full, or nothing more is there now--> SENDING --answer--> GATHERING … --the source has ended--> done
 *       ^  |                                                      |   ^
 *       |  +--nothing there: the source says when                 v   | after a moment
 *       +---------------------------------------------            FULL (Redis takes nothing now)                        */
#pragma once

#include "base/err.h"
#include "ctl/ctl.h"
#include "ctl/item_source.h"

#include <stdbool.h>
#include <stdint.h>

enum { PUSH_ID_SIZE = 65 };

struct items_push;

struct items_push_options {
	const char *task;       /* these two must outlive the push */
	const char *id;         /* 1 to 64 of A-Z a-z 0-9 - _ */
	int64_t from;           /* how many the hub has of this push already: what next() gives comes behind them */
	bool no_wait;           /* a Redis that is full ends it, and so does one that is away */

	void *context;
	int (*next)(void *context, struct item *item, enum item_got *got, struct err *err);
	void (*on_progress)(void *context, int64_t items);         /* so many are in; NULL if nobody cares */
	void (*on_done)(void *context, const struct err *err);     /* once; err NULL: everything is in */
};

/* Begins in the loop's next turn. NULL with err set. */
struct items_push *items_push_new(struct ctl *ctl, const struct items_push_options *options, struct err *err);

/* There is something to take again. */
void items_push_ready(struct items_push *push);

/* No callback comes any more. NULL is ignored. */
void items_push_free(struct items_push *push);

/* How many the hub has. */
int64_t items_push_count(const struct items_push *push);

/* What the hub has of a push; 0 of one that it does not know. */
int items_push_ask(struct ctl *ctl, const char *task, const char *id, int64_t *items, struct err *err) MUST_CHECK;

void items_push_draw_id(char id[PUSH_ID_SIZE]);
bool items_push_id_is_valid(const char *id);
