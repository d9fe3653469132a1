/* Control groups for process workers: one below our own for each, with a limit of memory, and all its processes in one
 * hand. */
#pragma once

#include "base/err.h"
#include "node/runtime/cgroup_place.h"

#include <stdbool.h>
#include <stdint.h>

struct cgroup_home {
	enum cgroup_version version; /* CGROUP_NONE: there are none to be had */
	char path[CGROUP_PATH_MAX];  /* the directory that holds the workers' groups */
};

/* Makes the home of this node's workers. In version 2 it may move us into a neighbouring group first, as a group with
 * processes of its own cannot limit others. ERR_DENIED, ERR_NOT_FOUND: with what is missing and what to do. */
int cgroup_home_open(struct cgroup_home *home, const char *owner_id, struct err *err) MUST_CHECK;

/* Removes the home where it is empty. */
void cgroup_home_close(struct cgroup_home *home);

/* Makes a worker's group, below the home, with its limits (processes_max only where the system can). */
int cgroup_make(const char *path, enum cgroup_version version, int64_t memory_mb, int64_t processes_max, struct err *err)
	MUST_CHECK;

int cgroup_enter(const char *path, int pid, struct err *err) MUST_CHECK;

/* Whether the kernel has killed one of its processes for want of memory. */
bool cgroup_ran_out_of_memory(const char *path);

/* SIGKILL to all in it. */
void cgroup_kill(const char *path);

/* False while processes are in it (ask again); true when it is gone, also if it never was. */
bool cgroup_remove(const char *path);
