/* What a batch of items goes through: its command, and the outcome, which is a result or a failure with its reason. */
#pragma once

#include "base/buf.h"
#include "exec/child.h"
#include "exec/item.h"
#include "exec/result.h"
#include "exec/work.h"

#include <stdbool.h>
#include <stddef.h>

enum { NO_EXIT_STATUS = -1 };

struct outcome {
	bool failed;
	struct err reason; /* of a failure, for people */
	int exit_status;   /* of a failure; 128 + signal, as a shell tells it, or NO_EXIT_STATUS */
	const char *log;   /* of a failure: the end of standard error; not a string */
	size_t log_len;
	struct buf result; /* of a success; keeps its memory */
};

struct runner {
	const struct work *work;
	struct result_place place;
	int peer; /* struct child_order */
	struct child child;
	struct arguments arguments;
	struct buf input;
	struct outcome outcome;
};

/* work must outlive it; peer as in struct child_order. runner_done it, also after an error. */
int runner_init(struct runner *runner, const struct work *work, int peer, struct err *err) MUST_CHECK;
void runner_done(struct runner *runner);

/* Runs the command and fills runner->outcome, valid until the next call. ERR_CANCELLED: somebody wants us to end; ERR_UNREACHABLE:
 * the peer is gone; there is no outcome then. */
int runner_run(struct runner *runner, const struct item *items, size_t count, struct err *err) MUST_CHECK;

/* The items failed before there was a command. */
void runner_refuse(struct runner *runner, const struct err *reason);
