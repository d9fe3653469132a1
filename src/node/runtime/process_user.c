/* Owns the rule about workers' users. Called at start-up, since the system's user database may be slow; never changes who we
 * are. */
#include "node/runtime/process_user.h"

#include "base/cleanup.h"

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

static int take(const struct passwd *entry, struct process_user *user, struct err *err)
{
	if (entry->pw_uid == 0)
		return err_set(err, ERR_INVALID, "process_user must not be root, and \"%s\" is; name another user",
			       entry->pw_name);
	user->change = true;
	user->uid = entry->pw_uid;
	user->gid = entry->pw_gid;
	user->groups[user->group_count++] = entry->pw_gid;
	return 0;
}

static bool has_member(const struct group *group, const char *name)
{
	for (char **member = group->gr_mem; *member; member++) {
		if (strcmp(*member, name) == 0)
			return true;
	}
	return false;
}

static int too_many_groups(const char *name, struct err *err)
{
	return err_set(err, ERR_TOO_BIG, "process_user: \"%s\" is in more than %d groups", name, LAUNCH_GROUPS_MAX);
}

static int add_local_groups(const char *name, struct process_user *user, struct err *err)
{
	AUTO_FCLOSE FILE *file = fopen("/etc/group", "re");
	const struct group *group;
	while (file && (group = fgetgrent(file))) {
		if (group->gr_gid == user->gid || !has_member(group, name))
			continue;
		if (user->group_count == LAUNCH_GROUPS_MAX)
			return too_many_groups(name, err);
		user->groups[user->group_count++] = group->gr_gid;
	}
	return 0;
}

/* The machine's own files: to ask all that nsswitch.conf names brings libraries into the agent that stay there. */
static const struct passwd *find_local(FILE *file, const char *name)
{
	const struct passwd *entry;
	while (file && (entry = fgetpwent(file))) {
		if (strcmp(entry->pw_name, name) == 0)
			return entry;
	}
	return NULL;
}

/* A user whom the machine has from elsewhere. */
static int find_anywhere(const char *name, struct process_user *user, struct err *err)
{
	const struct passwd *entry = getpwnam(name); /* NOLINT(concurrency-mt-unsafe): before there are threads */
	if (!entry)
		return err_set(err, ERR_NOT_FOUND, "process_user: there is no user \"%s\" on this machine; make it with useradd "
			       "--system --no-create-home %s", name, name);
	int rc = take(entry, user, err);
	int count = LAUNCH_GROUPS_MAX;
	if (!rc && getgrouplist(name, user->gid, user->groups, &count) < 0)
		rc = too_many_groups(name, err);
	user->group_count = (size_t)count;
	return rc;
}

static int choose_for_root(const char *name, bool same_user, struct process_user *user, struct err *err)
{
	if (!name[0])
		return err_set(err, ERR_INVALID,
			       "runtime = \"process\": tasks' commands must not run as root%s; make a user for them (useradd "
			       "--system --no-create-home idm-worker) and set process_user = \"idm-worker\"",
			       same_user ? " (process_same_user is not for root)" : "");
	AUTO_FCLOSE FILE *file = fopen("/etc/passwd", "re");
	const struct passwd *entry = find_local(file, name);
	if (!entry)
		return find_anywhere(name, user, err);
	int rc = take(entry, user, err);
	return rc ? rc : add_local_groups(name, user, err);
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
