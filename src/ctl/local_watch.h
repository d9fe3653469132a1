/* Staying with a local system in the foreground (`gridctl up --foreground`): under systemd, in a container. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/local_system.h"

#include <signal.h>

struct local_watch {
	sigset_t signals;
};

/* Before anything is started: from now on signals wait. */
void local_watch_begin(struct local_watch *watch);

/* Waits for SIGTERM, SIGINT or SIGHUP, or for the end of one of the programs, and ends all. An exit status. */
int local_watch_run(struct local_watch *watch, struct ctl *ctl, struct local_system *system, int nodes);
