/* The job log, in GNU parallel's columns: Seq Host Starttime JobRuntime Send Receive Exitval Signal Command. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "ctl/run/bits.h"

#include <stdbool.h>
#include <stdint.h>

struct joblog_row {
	int64_t seq;
	const char *host;
	double started, seconds;
	size_t send, receive;   /* bytes of the item and of the result */
	int exit_status;        /* -1: it had none */
	int signal;
	const char *command;    /* with the item in its place, quoted */
};

/* Appends a row as a line; control characters of the texts become spaces. Errors are buf_add's. */
int joblog_format(struct buf *into, const struct joblog_row *row) MUST_CHECK;

/* Opens the file for rows, and leaves what it has. A descriptor, or -1 with err set. */
int joblog_open(const char *path, struct err *err) MUST_CHECK;

/* Empties it, unless it goes on; writes the titles where they are not yet. */
int joblog_begin(int fd, const char *path, bool resume, struct err *err) MUST_CHECK;

/* Adds the numbers that an earlier run has done: all that are in it, or, `only_good`, those whose last row has exit value and
 * signal 0. A file that is not there yet has none. */
int joblog_read(const char *path, bool only_good, struct bits *done, struct err *err) MUST_CHECK;
