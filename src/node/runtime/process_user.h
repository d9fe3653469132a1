/* As whom process workers run, and whether they may run at all. */
#pragma once

#include "base/err.h"
#include "node/runtime/launch_plan.h"

#include <stdbool.h>
#include <sys/types.h>

struct process_user {
	bool change; /* false: as ourselves, and the rest means nothing */
	uid_t uid;
	gid_t gid;
	gid_t groups[LAUNCH_GROUPS_MAX];
	size_t group_count;
};

/* `name` and `same_user` as the configuration has them ("" and false by default), `self`: our effective user. Root gives
 * its workers to another user; anybody else cannot, and must know it. ERR_INVALID, ERR_NOT_FOUND: with what to do. */
int process_user_choose(const char *name, bool same_user, uid_t self, struct process_user *user, struct err *err)
	MUST_CHECK;
