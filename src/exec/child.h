/* One command, from its start to its last trace: fed, listened to, limited, ended with everything that it started. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "exec/spawn.h"
#include "exec/tail.h"

#include <stddef.h>
#include <stdint.h>

/* Keeps its memory from one command to the next. */
struct child {
	struct command_paths paths;
	char *const *environment;
	int null;           /* /dev/null */
	struct buf output;  /* standard output of the last command */
	struct tail errors; /* the end of its standard error */
};

struct child_order {
	char *const *argv;
	const char *input; /* for its standard input; NULL: /dev/null */
	size_t input_len;
	size_t max_output; /* bytes of standard output; more ends it */
	int64_t timeout_ms; /* 0: none */
	int peer;          /* a connection whose end ends the command; -1: none */
};

enum child_end {
	CHILD_EXITED,      /* number: its exit status */
	CHILD_KILLED,      /* by somebody; number: the signal */
	CHILD_NOT_STARTED, /* number: an errno value */
	CHILD_TIMED_OUT,   /* killed by us, as in those that follow */
	CHILD_TOO_MUCH,    /* output */
	CHILD_NO_MEMORY,   /* for its output */
	CHILD_STOPPED,     /* somebody wants us to end (signals.h) */
	CHILD_ABANDONED,   /* the peer is gone */
};

struct child_report {
	enum child_end end;
	int number;         /* undefined where no row above names it */
	double started;     /* seconds since 1970 */
	double seconds;     /* until its end */
};

/* The environment must outlive it. signals_init and descendants_init were called. */
int child_init(struct child *child, char *const *environment, struct err *err) MUST_CHECK;
void child_done(struct child *child);

/* Runs it to its end. Afterwards nothing that it started runs, and child->output and child->errors hold what came. */
void child_run(struct child *child, const struct child_order *order, struct child_report *report);
