/* Where a run's results go: standard output and the job log, as they come or in their order, and then the word that the hub may
 * remove them. Each result is at a place in the hub's list; one is safe when all that belongs to it has been written. */
#pragma once

#include "base/err.h"
#include "ctl/run/order.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct sink;

struct sink_options {
	int fd;               /* standard output */
	bool keep_order;
	int64_t next;         /* keep_order: the number whose turn it is first */
	order_is_void *is_void;
	const char *joblog;   /* its path; NULL: none */
	int joblog_fd;        /* the caller's, and open as long as the sink; -1: none */
	int64_t first_place;  /* of the first result that comes */

	void *context;        /* of is_void, too */
	void (*on_safe)(void *context, int64_t upto);            /* all results at places below are safe */
	void (*before_write)(void *context);                     /* bytes are about to go to standard output; or NULL */
	void (*on_room)(void *context);                          /* sink_has_room again */
	void (*on_failed)(void *context, const struct err *err); /* nothing can be written any more */
};

struct sink_entry {
	int64_t seq;
	int64_t place;
	bool last;            /* the place is safe with this entry: no other one of it is written later */
	const char *output;
	size_t output_len;
	const char *row;      /* of the job log; "" for none */
	size_t row_len;
};

/* NULL with err set. */
struct sink *sink_new(uv_loop_t *loop, const struct sink_options *options, struct err *err);
void sink_close(struct sink *sink);

/* Takes copies. */
int sink_add(struct sink *sink, const struct sink_entry *entry, struct err *err) MUST_CHECK;

/* Nothing comes from this place. */
int sink_pass(struct sink *sink, int64_t place, struct err *err) MUST_CHECK;

/* More numbers are void: what waited for them goes. `all`: what is left goes, gaps or not. */
void sink_turn(struct sink *sink, bool all);

/* False while standard output is behind: nothing more should come. */
bool sink_has_room(const struct sink *sink);

/* Nothing waits for standard output (but with keep_order something may wait for its turn). */
bool sink_is_written(const struct sink *sink);

/* Whether what was written ended with a newline. */
bool sink_is_at_line_start(const struct sink *sink);

/* keep_order: all numbers below have been written, or never will be. */
int64_t sink_next(const struct sink *sink);
