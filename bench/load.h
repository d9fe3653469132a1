/* What the load program's commands share: what was asked for, and the one wire per thing that they drive. */
#pragma once

#include "base/err.h"
#include "wire.h"

#include <stddef.h>
#include <stdint.h>

enum { NODE_ID_SIZE = 40 };

struct load {
	const char *target;   /* "http://127.0.0.1:8080" */
	const char *token;
	size_t count;         /* nodes, or connections */
	int64_t seconds;      /* how long heartbeats are sent */
	size_t switches;      /* how many task switches are watched */
	int pid;              /* the server's; 0: not told, and nothing of it is measured */
	int64_t deadline_ns;  /* all must be over by then */

	char (*ids)[NODE_ID_SIZE]; /* of registered nodes, `count` of them; NULL for `register` */
	struct wires *wires;
};

/* Each prints its result as one line of JSON (`register`: the ids, one a line) on standard output, or returns an error. */
int registrations_run(struct load *load, struct err *err) MUST_CHECK;
int heartbeats_run(struct load *load, struct err *err) MUST_CHECK;
int crowd_run(struct load *load, struct err *err) MUST_CHECK;

/* ERR_TIMEOUT when the deadline has passed. */
int load_in_time(const struct load *load, struct err *err) MUST_CHECK;
