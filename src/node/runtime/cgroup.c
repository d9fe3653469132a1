/* Owns the files of control groups. Called by the process runtime; never waits: what is not gone yet is asked for again.
 *
 * Version 1 (hierarchy "memory"): a directory below our own group, always possible for root. Version 2: the controllers must
 * be handed down by every group above, and a group that hands them down has no processes of its own ("no internal
 * processes", cgroup-v2.rst); so we move into a group beside the workers'. systemd gives a service such a place with
 * Delegate=yes. Root without one takes a place below the root of the hierarchy, as container engines do. */
#include "node/runtime/cgroup.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { FILE_MAX = 64 * 1024, PROC_TEXT_MAX = 1024 * 1024, MEGABYTE = 1024 * 1024 };

static const char AGENT_GROUP[] = "/idm-agent";

/* ---- files ---- */

static int join(char *path, const char *directory, const char *name)
{
	int len = snprintf(path, CGROUP_PATH_MAX, "%s/%s", directory, name);
	return len > 0 && len < CGROUP_PATH_MAX ? 0 : ERR_TOO_BIG;
}

/* 0 or an errno value. */
static int put(const char *directory, const char *name, const char *text)
{
	char path[CGROUP_PATH_MAX];
	if (join(path, directory, name))
		return ENAMETOOLONG;
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	return write(fd, text, strlen(text)) < 0 ? errno : 0;
}

static int put_number(const char *directory, const char *name, int64_t number)
{
	char text[32];
	(void)snprintf(text, sizeof(text), "%" PRId64, number);
	return put(directory, name, text);
}

static int get(const char *directory, const char *name, struct buf *text)
{
	char path[CGROUP_PATH_MAX];
	return join(path, directory, name) ? ERR_TOO_BIG : file_read(path, text, NULL);
}

/* Whether a file holds the word, between blanks. */
static bool has_word(const char *directory, const char *name, const char *word)
{
	struct buf text;
	bool found = false;
	buf_init(&text, FILE_MAX);
	char *save;
	if (get(directory, name, &text) == 0 && text.data) {
		for (char *item = strtok_r(text.data, " \n", &save); item && !found; item = strtok_r(NULL, " \n", &save))
			found = strcmp(item, word) == 0;
	}
	buf_done(&text);
	return found;
}

/* ---- the home ---- */

static int find_place(struct cgroup_place *place, struct err *err)
{
	struct buf mounts;
	struct buf groups;
	buf_init(&mounts, PROC_TEXT_MAX);
	buf_init(&groups, FILE_MAX);
	int rc = file_read("/proc/self/mountinfo", &mounts, err);
	if (!rc)
		rc = file_read("/proc/self/cgroup", &groups, err);
	if (!rc && cgroup_place_find(buf_text(&mounts), buf_text(&groups), place))
		rc = err_set(err, ERR_NOT_FOUND, "this system shows no memory control groups (mount cgroup2 on /sys/fs/cgroup)");
	buf_done(&mounts);
	buf_done(&groups);
	return rc;
}

static int make_home(struct cgroup_home *home, const char *directory, const char *owner_id, enum cgroup_version version,
		     struct err *err)
{
	int len = snprintf(home->path, sizeof(home->path), "%s/idm-%s", directory, owner_id);
	if (len < 0 || (size_t)len >= sizeof(home->path))
		return err_set(err, ERR_TOO_BIG, "the control group's path below %s is too long", directory);
	if (mkdir(home->path, 0755) && errno != EEXIST)
		return err_from_errno(err, errno, "cannot make the control group %s", home->path);
	home->version = version;
	return 0;
}

/* Lets the children of a version 2 group have the controllers, and the home's children too. */
static int hand_down(const char *directory)
{
	if (has_word(directory, "cgroup.subtree_control", "memory"))
		return 0;
	int error = put(directory, "cgroup.subtree_control", "+memory");
	if (!error)
		(void)put(directory, "cgroup.subtree_control", "+pids");
	return error;
}

static int make_home_v2(struct cgroup_home *home, const char *directory, const char *owner_id, struct err *err)
{
	int error = hand_down(directory);
	if (error)
		return err_from_errno(err, error, "the control group %s does not hand the memory controller down", directory);
	int rc = make_home(home, directory, owner_id, CGROUP_V2, err);
	if (rc)
		return rc;
	error = hand_down(home->path);
	return error ? err_from_errno(err, error, "the control group %s does not hand the memory controller down", home->path)
		     : 0;
}

/* Out of the way of the controllers. */
static int step_aside(const char *own, struct err *err)
{
	char aside[CGROUP_PATH_MAX];
	if (join(aside, own, AGENT_GROUP + 1))
		return err_set(err, ERR_TOO_BIG, "the control group's path %s is too long", own);
	if (mkdir(aside, 0755) && errno != EEXIST)
		return err_from_errno(err, errno, "cannot make the control group %s", aside);
	int error = put(aside, "cgroup.procs", "0");
	return error ? err_from_errno(err, error, "cannot move into the control group %s", aside) : 0;
}

static int open_v2(struct cgroup_home *home, struct cgroup_place *place, const char *owner_id, struct err *err)
{
	size_t len = strlen(place->own);
	size_t tail = strlen(AGENT_GROUP);
	if (len > tail && strcmp(place->own + len - tail, AGENT_GROUP) == 0)
		place->own[len - tail] = '\0'; /* we have stepped aside before */
	/* The root of all has no type; that of a container's view has one, and is a group like others. */
	char type[CGROUP_PATH_MAX];
	bool is_root_group = join(type, place->own, "cgroup.type") == 0 && access(type, F_OK) != 0;
	if (!has_word(place->own, "cgroup.controllers", "memory"))
		(void)err_set(err, ERR_DENIED, "the control group %s has no memory controller", place->own);
	else if (is_root_group || step_aside(place->own, err) == 0)
		if (make_home_v2(home, place->own, owner_id, err) == 0)
			return 0;
	if (geteuid() == 0 && strcmp(place->own, place->root) != 0 && has_word(place->root, "cgroup.controllers", "memory") &&
	    make_home_v2(home, place->root, owner_id, NULL) == 0)
		return 0;
	return err->code;
}

int cgroup_home_open(struct cgroup_home *home, const char *owner_id, struct err *err)
{
	struct cgroup_place place;
	*home = (struct cgroup_home){0};
	int rc = find_place(&place, err);
	if (!rc && place.version == CGROUP_V1)
		rc = make_home(home, place.own, owner_id, CGROUP_V1, err);
	else if (!rc)
		rc = open_v2(home, &place, owner_id, err);
	if (rc)
		home->version = CGROUP_NONE;
	return rc;
}

void cgroup_home_close(struct cgroup_home *home)
{
	if (home->version != CGROUP_NONE)
		(void)rmdir(home->path);
	home->version = CGROUP_NONE;
}

/* ---- a worker's group ---- */

/* Memory and swap are one limit: no swap beyond it. Kernels without swap accounting lack the second file. */
static int limit_v1(const char *path, int64_t memory_mb)
{
	int error = put_number(path, "memory.limit_in_bytes", memory_mb * MEGABYTE);
	if (!error) {
		error = put_number(path, "memory.memsw.limit_in_bytes", memory_mb * MEGABYTE);
		if (error == ENOENT)
			error = 0;
	}
	return error;
}

static int limit_v2(const char *path, int64_t memory_mb, int64_t processes_max)
{
	int error = put_number(path, "memory.max", memory_mb * MEGABYTE);
	if (!error) {
		error = put(path, "memory.swap.max", "0");
		if (error == ENOENT)
			error = 0;
	}
	if (!error && processes_max > 0) {
		error = put_number(path, "pids.max", processes_max);
		if (error == ENOENT)
			error = 0;
	}
	(void)put(path, "memory.oom.group", "1"); /* a worker that lost one of its processes is of no use */
	return error;
}

int cgroup_make(const char *path, enum cgroup_version version, int64_t memory_mb, int64_t processes_max, struct err *err)
{
	if (mkdir(path, 0755))
		return err_from_errno(err, errno, "cannot make the control group %s", path);
	int error = version == CGROUP_V1 ? limit_v1(path, memory_mb) : limit_v2(path, memory_mb, processes_max);
	if (error) {
		(void)rmdir(path);
		return err_from_errno(err, error, "cannot limit the memory of the control group %s", path);
	}
	return 0;
}

int cgroup_enter(const char *path, int pid, struct err *err)
{
	int error = put_number(path, "cgroup.procs", pid);
	return error ? err_from_errno(err, error, "cannot put the worker into the control group %s", path) : 0;
}

/* "oom_kill N" stands in memory.events (version 2) and in memory.oom_control (version 1, since Linux 4.13). */
bool cgroup_ran_out_of_memory(const char *path)
{
	struct buf text;
	uint64_t kills = 0;
	buf_init(&text, FILE_MAX);
	if (get(path, "memory.events", &text) == 0 || get(path, "memory.oom_control", &text) == 0) {
		const char *at = strstr(buf_text(&text), "oom_kill ");
		if (at)
			(void)sscanf(at, "oom_kill %" SCNu64, &kills);
	}
	buf_done(&text);
	return kills > 0;
}

void cgroup_kill(const char *path)
{
	if (put(path, "cgroup.kill", "1") == 0)
		return;
	struct buf text;
	char *save;
	buf_init(&text, FILE_MAX);
	if (get(path, "cgroup.procs", &text) == 0 && text.data) {
		for (char *item = strtok_r(text.data, "\n", &save); item; item = strtok_r(NULL, "\n", &save)) {
			int pid = atoi(item);
			if (pid > 1)
				(void)kill(pid, SIGKILL);
		}
	}
	buf_done(&text);
}

bool cgroup_remove(const char *path)
{
	return rmdir(path) == 0 || errno == ENOENT;
}
