/* Owns the rule about workers' users. Called at start-up, since the system's user database may be slow; never changes who we
 * are. */
#include "node/runtime/process_user.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

static int choose_for_root(const char *name, bool same_user, struct process_user *user, struct err *err)
{
	if (!name[0])
		return err_set(err, ERR_INVALID,
			       "runtime = \"process\": tasks' commands must not run as root%s; make a user for them (useradd "
			       "--system --no-create-home idm-worker) and set process_user = \"idm-worker\"",
			       same_user ? " (process_same_user is not for root)" : "");
	errno = 0;
	const struct passwd *entry = getpwnam(name); /* NOLINT(concurrency-mt-unsafe): before there are threads */
	if (!entry)
		return err_set(err, ERR_NOT_FOUND, "process_user: there is no user \"%s\" on this machine; make it with useradd "
			       "--system --no-create-home %s", name, name);
	if (entry->pw_uid == 0)
		return err_set(err, ERR_INVALID, "process_user must not be root, and \"%s\" is; name another user", name);
	int count = LAUNCH_GROUPS_MAX;
	if (getgrouplist(name, entry->pw_gid, user->groups, &count) < 0)
		return err_set(err, ERR_TOO_BIG, "process_user: \"%s\" is in more than %d groups", name, LAUNCH_GROUPS_MAX);
	user->change = true;
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->group_count = (size_t)count;
	return 0;
}

int process_user_choose(const char *name, bool same_user, uid_t self, struct process_user *user, struct err *err)
{
	*user = (struct process_user){0};
	if (self == 0)
		return choose_for_root(name, same_user, user, err);
	if (name[0])
		return err_set(err, ERR_INVALID,
			       "process_user needs a gridnode that runs as root; start it so, or leave process_user out and set "
			       "process_same_user = true, if tasks' commands may read all that this user can, the token too");
	if (!same_user)
		return err_set(err, ERR_INVALID,
			       "runtime = \"process\": tasks' commands would run as this very user, and could read all that it "
			       "can, the token of this configuration too; if you trust the hub's users so far, set "
			       "process_same_user = true, else run gridnode as root with process_user");
	return 0;
}
