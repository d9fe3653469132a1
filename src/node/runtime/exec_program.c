/* Owns the program gridexec, and its file. Called when a container of a task with exec is described, and by the launcher of a process
 * worker; never runs it. */
#include "node/runtime/exec_program.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "gridexec_program.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PROGRAM_MODE = 0555 };

#define FILE_NAME "gridexec"

static char *path_in(const char *folder)
{
	size_t size = strlen(folder) + sizeof("/" FILE_NAME);
	char *path = malloc(size);
	if (path)
		(void)snprintf(path, size, "%s/" FILE_NAME, folder);
	return path;
}

/* Ours, with its mode, and byte for byte what we carry: an earlier run may have been another version, or have had a full disk. */
static bool is_whole(const char *path)
{
	struct stat status;
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &status))
		return false;
	if (!S_ISREG(status.st_mode) || (status.st_mode & 07777) != PROGRAM_MODE || status.st_uid != geteuid() ||
	    status.st_size != embedded_gridexec_len)
		return false;
	void *bytes = mmap(NULL, embedded_gridexec_len, PROT_READ, MAP_PRIVATE, fd, 0);
	bool same = bytes != MAP_FAILED && memcmp(bytes, embedded_gridexec, embedded_gridexec_len) == 0;
	if (bytes != MAP_FAILED)
		(void)munmap(bytes, embedded_gridexec_len);
	return same;
}

char *exec_program_place(const char *folder, struct err *err)
{
	AUTO_FREE char *path = path_in(folder);
	if (!path) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (is_whole(path))
		return steal(path);
	(void)unlink(path); /* containers that run keep the old one */
	if (file_replace(path, embedded_gridexec, embedded_gridexec_len, PROGRAM_MODE, err)) {
		(void)err_wrap(err, "no place for the program that runs exec tasks");
		return NULL;
	}
	return steal(path);
}

void exec_program_remove(const char *folder)
{
	AUTO_FREE char *path = path_in(folder);
	if (path)
		(void)unlink(path);
}

const char *exec_program_bytes(size_t *len)
{
	*len = embedded_gridexec_len;
	return embedded_gridexec;
}
