/* Where this process stands in the machine's control groups, read from what /proc says about it. */
#pragma once

#include "base/err.h"

enum { CGROUP_PATH_MAX = 512 };

enum cgroup_version { CGROUP_NONE, CGROUP_V1, CGROUP_V2 };

struct cgroup_place {
	enum cgroup_version version;     /* of the hierarchy that limits memory */
	char root[CGROUP_PATH_MAX];      /* its mount */
	char own[CGROUP_PATH_MAX];       /* our group in it, as a directory */
};

/* mountinfo, cgroup: the texts of /proc/self/mountinfo and /proc/self/cgroup. The memory controller of version 1 where it is
 * mounted (the kernel has it in one place only), else version 2. ERR_NOT_FOUND where there is neither. */
int cgroup_place_find(const char *mountinfo, const char *cgroup, struct cgroup_place *place) MUST_CHECK;
