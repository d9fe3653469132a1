/* Progress in one line, as wide as there is room, and the words and numbers in it. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct progress_view {
	const char *name;   /* of the task */
	const char *state;  /* what it waits for, in a few words; NULL: nothing */
	int64_t total;      /* items; -1: not known */
	bool grows;         /* more items may come */
	int64_t done, failed;
	double rate;        /* items per second; 0: not known */
	int64_t nodes;      /* that work on it; -1: not known */
};

/* A line of at most `width` columns (ASCII but for the task's name), without an end. What does not fit is left out, the least
 * needed first. */
int progress_line(struct buf *into, const struct progress_view *view, int width) MUST_CHECK;

/* The same in words, for a log. */
int progress_words(struct buf *into, const struct progress_view *view) MUST_CHECK;

/* 12,345 */
int progress_add_count(struct buf *into, int64_t count) MUST_CHECK;
/* 12.3/s, 4.2/min */
int progress_add_rate(struct buf *into, double per_second) MUST_CHECK;
/* 0:07, 12:34, 3:05:07, 2d 4h */
int progress_add_seconds(struct buf *into, double seconds) MUST_CHECK;

/* Seconds until all is done; negative where nothing can be said. */
double progress_left(const struct progress_view *view);

/* "[####....]" of `width` columns. */
int progress_add_bar(struct buf *into, double share, int width) MUST_CHECK;
