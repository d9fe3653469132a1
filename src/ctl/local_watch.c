/* Owns the waiting of `gridctl up --foreground`. Called by up.c; starts nothing again: whoever supervises gridctl does that. */
#include "ctl/local_watch.h"

#include "ctl/local_end.h"
#include "ctl/local_process.h"

#include <stdio.h>
#include <sys/wait.h>
#include <time.h>

enum { LOOK_MS = 100 };

void local_watch_begin(struct local_watch *watch)
{
	(void)sigemptyset(&watch->signals);
	(void)sigaddset(&watch->signals, SIGTERM);
	(void)sigaddset(&watch->signals, SIGINT);
	(void)sigaddset(&watch->signals, SIGHUP);
	(void)sigaddset(&watch->signals, SIGCHLD);
	(void)sigprocmask(SIG_BLOCK, &watch->signals, NULL);
}

/* As the first process of a container it also gets the children of others. */
static void reap(void)
{
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
}

static bool lives(const struct local_system *system, const char *name)
{
	return local_process_pid(system, name) != 0;
}

/* The name of one that has ended; "" while all live. */
static void find_ended(const struct local_system *system, int nodes, char name[LOCAL_NAME_MAX])
{
	name[0] = '\0';
	if (!lives(system, "redis"))
		(void)snprintf(name, LOCAL_NAME_MAX, "redis");
	else if (!lives(system, "hub"))
		(void)snprintf(name, LOCAL_NAME_MAX, "hub");
	for (int i = 1; i <= nodes && !*name; i++) {
		char node[LOCAL_NAME_MAX];
		(void)snprintf(node, sizeof(node), "node-%d", i);
		if (!lives(system, node))
			(void)snprintf(name, LOCAL_NAME_MAX, "%s", node);
	}
}

int local_watch_run(struct local_watch *watch, struct ctl *ctl, struct local_system *system, int nodes)
{
	char ended[LOCAL_NAME_MAX];
	struct local_ended what;
	bool asked = false;
	local_system_unlock(system); /* `gridctl down` may come */
	for (;;) {
		reap();
		find_ended(system, nodes, ended);
		if (*ended || asked)
			break;
		int number = 0;
		(void)sigwait(&watch->signals, &number);
		asked = number != SIGCHLD;
	}
	bool others = !local_system_lock(system); /* `gridctl down` does it: only watch */
	if (*ended && !asked && !others)
		ctl_error(ctl, "%s has ended; ending the rest", ended);
	while (others && !local_system_lock(system)) {
		const struct timespec look = {.tv_nsec = LOOK_MS * 1000000L};
		(void)sigtimedwait(&watch->signals, NULL, &look);
		reap();
	}
	local_end(ctl, system, &what);
	reap();
	ctl_note(ctl, "down");
	return *ended && !asked && !others ? CTL_FAILED : CTL_OK;
}
