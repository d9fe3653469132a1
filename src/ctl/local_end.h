/* Ending a local system. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/local_system.h"

/* What was ended. */
struct local_ended {
	int nodes;
	bool hub, redis;
	int died; /* of all these: were not there any more */
};

/* Ends the nodes (which finish what they compute, within their stop_timeout), then the hub, then Redis: each by SIGTERM, and
 * by SIGKILL where that does not help, which is said. */
void local_end(struct ctl *ctl, struct local_system *system, struct local_ended *ended);
