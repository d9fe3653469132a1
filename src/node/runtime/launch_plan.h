/* What the launcher (launcher.h) is told about one worker: the agent writes it, the launcher reads it. It travels in a file
 * without a name, since environment and arguments of a program can be seen, and a loader obeys them. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum { LAUNCH_GROUPS_MAX = 64, LAUNCH_PLAN_MAX = 1024 * 1024 };

struct launch_plan {
	int64_t parent;         /* the agent's process: where it is no longer our parent, nothing is started */
	const char *cpus;       /* the kernel's list form */
	const char *directory;  /* to work in */
	bool change_user;       /* to the user and groups that follow; else they mean nothing */
	uid_t uid;
	gid_t gid;
	gid_t groups[LAUNCH_GROUPS_MAX];
	size_t group_count;
	bool no_new_privileges;
	int64_t processes_max;  /* of the user, all workers together; 0: as many as the system lets it have */
	bool gridexec;          /* the program is the one that we carry; argv[0] is but its name */
	char **argv;            /* both ended by NULL */
	char **env;
};

/* Adds the plan's bytes. ERR_TOO_BIG, ERR_NOMEM. */
int launch_plan_encode(const struct launch_plan *plan, struct buf *out) MUST_CHECK;

/* Fills the plan with pointers into `bytes`, which must end with a NUL byte and outlive it; argv and env are allocated
 * and freed with launch_plan_done. ERR_INVALID for what encode did not write. */
int launch_plan_decode(char *bytes, size_t len, struct launch_plan *plan) MUST_CHECK;
void launch_plan_done(struct launch_plan *plan);

/* The worker's whole environment: what the task wants ("NAME=value", ended by NULL), and what every program expects (PATH,
 * HOME, LANG, TMPDIR) where the task does not say. NULL without memory. */
char **launch_environment(const char *const *wanted, const char *directory);
void launch_environment_free(char **env);
