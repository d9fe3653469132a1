/* Owns the walk through a tree that is to vanish. Called in a thread, by the process runtime; never holds more open
 * directories than its depth cap. */
#include "node/runtime/directory_removal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { DEPTH_MAX = 200, PASSES_MAX = 3 };

static int remove_entry(int parent, const char *name, int depth);

static bool is_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Takes the descriptor over. The first error is told; the walk goes on past it. */
static int empty(int fd, int depth)
{
	int error = 0;
	DIR *directory = fdopendir(fd);
	if (!directory) {
		error = errno;
		(void)close(fd);
		return error;
	}
	const struct dirent *entry;
	while ((entry = readdir(directory))) {
		int failed = is_dot(entry->d_name) ? 0 : remove_entry(fd, entry->d_name, depth);
		if (!error)
			error = failed;
	}
	(void)closedir(directory);
	return error;
}

static int remove_entry(int parent, const char *name, int depth)
{
	if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
		return 0;
	if (errno != EISDIR && errno != EPERM) /* POSIX tells EPERM for a directory */
		return errno;
	if (depth >= DEPTH_MAX)
		return ELOOP;
	const int how = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(parent, name, how);
	/* A directory that was made unreadable; root needs no leave. */
	if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, AT_SYMLINK_NOFOLLOW) == 0)
		fd = openat(parent, name, how);
	int error = fd < 0 ? errno : empty(fd, depth + 1);
	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	return error ? error : errno;
}

int directory_remove(const char *path)
{
	int error = 0;
	for (int pass = 0; pass < PASSES_MAX; pass++) { /* something may have been put in between */
		error = remove_entry(AT_FDCWD, path, 0);
		if (error != ENOTEMPTY)
			break;
	}
	return error;
}
