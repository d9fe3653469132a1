/* The step between the agent and a worker: our own program, started again, makes itself what a worker shall be, and then
 * becomes it. libuv's spawn sets no affinity, no limits, no user, and no signal for the parent's death. */
#pragma once

#include "base/err.h"

struct launch_plan;

/* Our own program, also where its file was replaced meanwhile; and argv[1] of such a start. */
#define LAUNCHER_PROGRAM "/proc/self/exe"
#define LAUNCHER_WORD "launch-worker"

/* Descriptors that it finds open, beside the worker's own 0, 1 and 2. */
enum {
	LAUNCHER_PLAN_FD = 3,    /* the plan's bytes (launch_plan.h) */
	LAUNCHER_CONTROL_FD = 4, /* one byte to read: go; closed by success; else a launcher_refusal to be read from it */
};

enum { LAUNCHER_TEXT_MAX = 512 };

/* Why there is no worker. */
struct launcher_refusal {
	int code; /* of err.h */
	char text[LAUNCHER_TEXT_MAX];
};

/* The agent's side: a file without a name that holds the plan; close() it. Negative: a code of err.h. */
int launcher_plan_file(const struct launch_plan *plan, struct err *err) MUST_CHECK;

/* The other side. Never returns. */
_Noreturn void launcher_main(void);
