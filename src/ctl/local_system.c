/* Owns the directory of a local system, and the link to the present one. Called by `gridctl up` and `down`, and by whoever looks
 * for hub and token; never starts or ends anything. */
#include "ctl/local_system.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOCK_WAIT_MS = 3000, LOCK_LOOK_MS = 50, OPEN_DIRECTORIES = 16 };

static const char MARK[] = ".gridctl-up";

/* ---- places ---- */

/* Also for root: /var/lib/idm-gridcore may belong to the user of a hub that systemd runs. */
static int user_place(char path[LOCAL_PATH_MAX], const char *name, struct err *err)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	int len = -1;
	if (state && state[0] == '/')
		len = snprintf(path, LOCAL_PATH_MAX, "%s/idm-gridcore/%s", state, name);
	else if (home && home[0] == '/')
		len = snprintf(path, LOCAL_PATH_MAX, "%s/.local/state/idm-gridcore/%s", home, name);
	else
		return err_set(err, ERR_INVALID, "neither HOME nor XDG_STATE_HOME is set: name a place with --directory DIR");
	return len > 0 && len < LOCAL_PATH_MAX ? 0 : err_set(err, ERR_TOO_BIG, "the path of the home directory is too long");
}

bool local_system_current(char directory[LOCAL_PATH_MAX])
{
	char link[LOCAL_PATH_MAX];
	if (user_place(link, "current", NULL))
		return false;
	ssize_t len = readlink(link, directory, LOCAL_PATH_MAX - 1);
	if (len <= 0 || len >= LOCAL_PATH_MAX - 1)
		return false;
	directory[len] = '\0';
	return directory[0] == '/';
}

int local_system_set_current(const struct local_system *system, struct err *err)
{
	char link[LOCAL_PATH_MAX];
	char fresh[LOCAL_PATH_MAX + 16];
	int rc = user_place(link, "current", err);
	if (rc)
		return rc;
	char *parent = file_directory(link);
	rc = parent ? file_make_directories(parent, 0700, err) : err_set(err, ERR_NOMEM, "out of memory");
	free(parent);
	if (rc)
		return rc;
	(void)snprintf(fresh, sizeof(fresh), "%s.%ld", link, (long)getpid());
	if (symlink(system->directory, fresh) || rename(fresh, link)) {
		rc = err_from_errno(err, errno, "cannot make %s", link);
		(void)unlink(fresh);
	}
	return rc;
}

void local_system_unset_current(const struct local_system *system)
{
	char link[LOCAL_PATH_MAX];
	char directory[LOCAL_PATH_MAX];
	if (local_system_current(directory) && strcmp(directory, system->directory) == 0 && user_place(link, "current", NULL) == 0)
		(void)unlink(link);
}

int local_system_path(const struct local_system *system, char path[LOCAL_PATH_MAX], struct err *err, const char *format, ...)
{
	int len = snprintf(path, LOCAL_PATH_MAX, "%s/", system->directory);
	va_list args;
	va_start(args, format);
	int rest = len > 0 && len < LOCAL_PATH_MAX ? vsnprintf(path + len, (size_t)(LOCAL_PATH_MAX - len), format, args) : -1;
	va_end(args);
	return rest > 0 && len + rest < LOCAL_PATH_MAX ? 0 : err_set(err, ERR_TOO_BIG, "the path %s is too long", system->directory);
}

/* ---- opening ---- */

static bool try_lock(int fd)
{
	int rc;
	do {
		rc = flock(fd, LOCK_EX | LOCK_NB);
	} while (rc && errno == EINTR);
	return rc == 0;
}

/* flock(2) has no timeout, and another gridctl may be waiting for a node that drains. */
static int wait_for_lock(const struct local_system *system, int fd, struct err *err)
{
	const struct timespec look = {.tv_nsec = LOCK_LOOK_MS * 1000000L};
	for (int waited_ms = 0; !try_lock(fd); waited_ms += LOCK_LOOK_MS) {
		if (waited_ms >= LOCK_WAIT_MS)
			return err_set(err, ERR_STATE, "another gridctl is starting or ending the system in %s", system->directory);
		(void)nanosleep(&look, NULL);
	}
	return 0;
}

/* Nobody else may put files there, or read those with tokens. */
static int check_owner(const char *directory, struct err *err)
{
	struct stat st;
	if (lstat(directory, &st))
		return err_from_errno(err, errno, "cannot use %s", directory);
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_set(err, ERR_DENIED, "%s is not a directory of yours: name another place with --directory DIR", directory);
	if ((st.st_mode & 07777) != 0700 && chmod(directory, 0700))
		return err_from_errno(err, errno, "cannot make %s yours alone", directory);
	return 0;
}

static bool is_empty(const char *directory)
{
	DIR *entries = opendir(directory);
	const struct dirent *entry;
	bool empty = entries != NULL;
	while (empty && (entry = readdir(entries)))
		empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
	if (entries)
		(void)closedir(entries);
	return empty;
}

static bool is_there(const char *path)
{
	struct stat st;
	return lstat(path, &st) == 0;
}

static int prepare(struct local_system *system, bool make, struct err *err)
{
	char mark[LOCAL_PATH_MAX];
	int rc = local_system_path(system, mark, err, "%s", MARK);
	if (rc)
		return rc;
	if (!make && !is_there(mark))
		return err_set(err, ERR_NOT_FOUND, "there is no system of `gridctl up` in %s", system->directory);
	if (make)
		rc = file_make_directories(system->directory, 0700, err);
	if (!rc && !is_there(mark) && !is_empty(system->directory))
		rc = err_set(err, ERR_DENIED, "%s holds something else: name an empty or a new directory", system->directory);
	if (!rc)
		rc = check_owner(system->directory, err);
	if (rc)
		return rc;
	int fd = open(mark, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot use %s", mark);
	rc = wait_for_lock(system, fd, err);
	if (rc)
		(void)close(fd);
	else
		system->lock = fd;
	return rc;
}

static int make_absolute(struct local_system *system, const char *given, struct err *err)
{
	char here[LOCAL_PATH_MAX] = "";
	if (given[0] != '/' && !getcwd(here, sizeof(here)))
		return err_from_errno(err, errno, "cannot tell the present directory");
	int len = snprintf(system->directory, LOCAL_PATH_MAX, "%s%s%s", here, *here ? "/" : "", given);
	while (len > 1 && len < LOCAL_PATH_MAX && system->directory[len - 1] == '/')
		system->directory[--len] = '\0';
	if (len < 2 || len >= LOCAL_PATH_MAX)
		return err_set(err, ERR_INVALID, "--directory: the path is too long, or no place for this");
	return 0;
}

int local_system_open(struct local_system *system, const char *given, bool make, struct err *err)
{
	*system = (struct local_system){.lock = -1};
	int rc = 0;
	if (given)
		rc = make_absolute(system, given, err);
	else if (!local_system_current(system->directory))
		rc = user_place(system->directory, "local", err);
	return rc ? rc : prepare(system, make, err);
}

void local_system_close(struct local_system *system)
{
	if (system->lock >= 0)
		(void)close(system->lock);
	system->lock = -1;
}

void local_system_unlock(struct local_system *system)
{
	(void)flock(system->lock, LOCK_UN);
}

bool local_system_lock(struct local_system *system)
{
	return try_lock(system->lock);
}

/* ---- the end ---- */

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *where)
{
	(void)st;
	(void)kind;
	(void)where;
	return remove(path) && errno != ENOENT ? -1 : 0;
}

static int remove_below(const struct local_system *system, const char *name, struct err *err)
{
	char path[LOCAL_PATH_MAX];
	int rc = local_system_path(system, path, err, "%s", name);
	if (rc || !is_there(path))
		return rc;
	return nftw(path, remove_entry, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) ? err_from_errno(err, errno, "cannot remove %s", path)
										 : 0;
}

int local_system_purge(struct local_system *system, struct err *err)
{
	static const char *const OURS[] = {"redis", "hub", "logs", "run", "redis.sock", "redis.conf", "computehub.toml"};
	int rc = 0;
	for (size_t i = 0; i < sizeof(OURS) / sizeof(OURS[0]) && !rc; i++)
		rc = remove_below(system, OURS[i], err);
	for (int i = 1; i <= LOCAL_NODES_MAX && !rc; i++) {
		char name[32];
		(void)snprintf(name, sizeof(name), "node-%d", i);
		rc = remove_below(system, name, err);
		(void)snprintf(name, sizeof(name), "node-%d.toml", i);
		if (!rc)
			rc = remove_below(system, name, err);
	}
	if (!rc)
		rc = remove_below(system, MARK, err);
	if (!rc)
		(void)rmdir(system->directory); /* what a person put there stays */
	return rc;
}
