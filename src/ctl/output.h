/* Standard output as a queue: what is written leaves as fast as its reader takes it, and the loop goes on meanwhile, so that
 * Ctrl-C works while a pager has not been scrolled. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct output;

struct output_events {
	void *context;
	void (*on_empty)(void *context);                         /* everything is with its reader */
	void (*before_write)(void *context);                     /* bytes are about to leave; NULL if nobody cares */
	void (*on_failed)(void *context, const struct err *err); /* once; the reader went away (ERR_CANCELLED), or the disk is full */
};

/* fd is not closed by it. NULL with err set. */
struct output *output_new(uv_loop_t *loop, int fd, const struct output_events *events, struct err *err);
void output_close(struct output *output);

/* Takes a copy. Callbacks come later, never from inside. */
int output_write(struct output *output, const char *bytes, size_t len, struct err *err) MUST_CHECK;

/* Whether what has left ended with a newline: somebody else may begin a line on the same terminal. */
bool output_is_at_line_start(const struct output *output);

/* Bytes that wait. */
size_t output_pending(const struct output *output);
