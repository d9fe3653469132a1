/* The writes that a worker may make as an item's result: rule R11 of docs/protocol.md. The gateway answers by this table, and
 * the hub checks by it again what nodes bring, for a node is not trusted. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

/* How the gateway answers a write before it is made. */
enum write_reply {
	WRITE_REPLY_COUNT, /* an integer: the elements given */
	WRITE_REPLY_OK,    /* "+OK" */
	WRITE_REPLY_ID,    /* a stream entry's id */
	WRITE_REPLY_LEN,   /* an integer: the bytes given */
};

struct write_command {
	const char *name;      /* upper case */
	size_t min_args;       /* with the command itself */
	size_t step;           /* arguments after the key and the fixed ones come in groups of so many; 0: exactly min_args */
	enum write_reply reply;
	bool input_too;        /* allowed on the input queue: workers that requeue by hand */
};

/* One argument: bytes, not text. */
struct write_arg {
	const char *bytes;
	size_t len;
};

/* NULL where the name (in either case) is no such write. */
const struct write_command *write_command_find(const char *name, size_t len);

/* Where writes may go. A NULL output queue allows none there. */
struct write_targets {
	const char *input_queue;
	const char *output_queue;
};

/* Whether this write may be made: a known command, its number of arguments, its key. ERR_INVALID says what is wrong, naming
 * the command but none of the bytes. */
int write_command_check(const struct write_arg *args, size_t count, const struct write_targets *targets, struct err *err)
	MUST_CHECK;

/* How many elements the write brings, as the gateway answers it: values pushed, pairs set. */
size_t write_command_elements(const struct write_command *command, size_t count);
