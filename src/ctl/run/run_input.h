/* The items of a run: numbered from 1 in the order of the input, those passed over that an earlier run has done. */
#pragma once

#include "base/buf.h"
#include "ctl/item_source.h"
#include "ctl/run/tracker.h"

struct run_input {
	struct item_source *source; /* owned; NULL: there is nothing to push any more */
	struct tracker *tracker;    /* its `before` is passed over, its `given` counts */
	int64_t seq;                /* of the item that was read last */
	struct item item;           /* that one, as it is in the input */
	struct buf numbered;        /* "<seq> TAB <bytes>", as the task takes it */
	bool has_first, is_empty;
	bool ended;
};

void run_input_init(struct run_input *input, struct item_source *source, struct tracker *tracker);
void run_input_done(struct run_input *input);

/* The next item that is to be done, plain: its number is in seq. */
int run_input_read(struct run_input *input, struct item *item, enum item_got *got, struct err *err) MUST_CHECK;

/* The same, numbered and counted as given. The one that run_input_peek read comes first. */
int run_input_next(struct run_input *input, struct item *item, enum item_got *got, struct err *err) MUST_CHECK;

/* Reads the first item and keeps it; *there once that is done, or is_empty. */
int run_input_peek(struct run_input *input, bool *there, struct err *err) MUST_CHECK;

/* Passes over `count` items that were pushed before, counting them as given; *done once all are. */
int run_input_skip(struct run_input *input, int64_t count, bool *done, struct err *err) MUST_CHECK;

/* How many items will have been given in all; -1 where only the end tells. */
int64_t run_input_total(const struct run_input *input);
