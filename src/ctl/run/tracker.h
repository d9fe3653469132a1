/* What became of each item of a run: three bits an item. Items are numbered from 1, in the order of the input. */
#pragma once

#include "ctl/run/bits.h"

struct tracker {
	struct bits finished; /* its result is here */
	struct bits failed;   /* it lies among the dead letters */
	struct bits before;   /* an earlier run did it (--resume): it was not given out */
	int64_t given;        /* items pushed by this run */
	int64_t finished_count, failed_count;
};

void tracker_done(struct tracker *tracker);

/* The item's result is here. *fresh: for the first time; a failed one that was retried is failed no more. */
int tracker_finish(struct tracker *tracker, int64_t seq, bool *fresh) MUST_CHECK;

/* It is among the dead letters. Ignored where its result is here. */
int tracker_fail(struct tracker *tracker, int64_t seq) MUST_CHECK;

/* No item is failed: they are about to be read anew. */
void tracker_forget_failures(struct tracker *tracker);

/* Whether nothing comes of this item any more: a failed one, or one of an earlier run. */
bool tracker_is_void(const struct tracker *tracker, int64_t seq);

/* Whether all that was given out has ended, well or not. */
bool tracker_is_complete(const struct tracker *tracker);
