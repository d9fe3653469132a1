/* Results out of a task, through the hub: a page after the other, held at the hub while there is nothing, and removed there only
 * when told that they are safe here. Results are numbered from 0, the oldest first, for as long as the task is known. */
#pragma once

#include "base/err.h"
#include "ctl/ctl.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct results_page {
	int64_t first;  /* number of the page's first result; above the cursor where those before were removed */
	int64_t next;   /* the cursor for the next page */
	int64_t total;  /* how many there ever were */
	bool complete;  /* the task has ended, nothing comes any more, and this was the last page */
	size_t count;
};

struct results_read;

struct results_read_options {
	const char *task;    /* must outlive the reader */
	int64_t cursor;
	bool writer_right;   /* the workers RPUSH */
	int64_t wait_s;      /* how long the hub holds a call while there is nothing; 0: not at all */
	int64_t max;         /* results of one page; 0: 1000 */

	void *context;
	/* Each result of a page, in their order; the bytes live as long as the callback runs. */
	void (*on_result)(void *context, int64_t number, const char *bytes, size_t len);
	void (*on_page)(void *context, const struct results_page *page); /* behind the page's results; may ask for more */
	void (*on_failed)(void *context, const struct err *err);         /* the end */
};

/* NULL with err set. */
struct results_read *results_read_new(struct ctl *ctl, const struct results_read_options *options, struct err *err);

/* No callback comes any more. NULL is ignored. */
void results_read_free(struct results_read *read);

/* Asks for the next page, unless that is under way. wait: as the options say, or not at all. */
void results_read_more(struct results_read *read, bool wait);

/* The hub need not hold a call any longer: the page is asked for anew, and comes at once. False where that is so already (it is
 * not asked again: a slow answer would never be waited for), or cannot be done now. */
bool results_read_hurry(struct results_read *read);

/* Those before `upto` may be removed at the hub. Repeated until it has; the latest number counts. */
void results_read_take(struct results_read *read, int64_t upto);

/* Whether all that was to be removed is. */
bool results_read_is_taken(const struct results_read *read);
