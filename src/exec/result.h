/* A result, as a task wants it: what the command wrote, with its item in front, or everything about it as JSON. */
#pragma once

#include "base/buf.h"
#include "exec/item.h"
#include "exec/work.h"

/* Where gridexec runs; from its environment. */
struct result_place {
	const char *node;     /* NULL where the environment names none, as with what follows */
	const char *instance;
};

struct result {
	const struct item *items; /* that one command was given */
	size_t count;
	const char *output;
	size_t output_len;
	double started; /* seconds since 1970 */
	double seconds;
};

/* Adds it to `out`. ERR_TOO_BIG past the buffer's cap; ERR_NOMEM. */
int result_write(struct buf *out, enum result_format format, const struct result *result, const struct result_place *place)
	MUST_CHECK;
