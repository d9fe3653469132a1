/* Owns the safe replacing of small files. Called at start-up and when an id is saved; never on a hot path, since it
 * waits for the disk. */
#include "base/file.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

int file_read(const char *path, struct buf *buf, struct err *err)
{
	AUTO_CLOSE int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot read %s", path);

	char chunk[8192];
	for (;;) {
		ssize_t len = read(fd, chunk, sizeof(chunk));
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_from_errno(err, errno, "cannot read %s", path);
		if (len == 0)
			return buf_add(buf, "", 0);
		int rc = buf_add(buf, chunk, (size_t)len);
		if (rc)
			return err_set(err, rc, "cannot read %s: it is larger than %zu bytes", path, buf->cap);
	}
}

static int write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t written = write(fd, bytes, len);
		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return errno;
		bytes += written;
		len -= (size_t)written;
	}
	return 0;
}

static int fill_and_sync(int fd, const char *bytes, size_t len, mode_t mode, const struct stat *old)
{
	int error = write_all(fd, bytes, len);
	if (!error && fchmod(fd, old ? old->st_mode & 07777 : mode))
		error = errno;
	/* Another owner can be kept only by root; for everybody else the file is theirs already. */
	if (!error && old && fchown(fd, old->st_uid, old->st_gid) && geteuid() == 0)
		error = errno;
	if (!error && fsync(fd))
		error = errno;
	return error;
}

static void sync_directory_of(const char *path)
{
	AUTO_FREE char *directory = file_directory(path);
	AUTO_CLOSE int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	if (fd >= 0)
		(void)fsync(fd); /* some file systems cannot; the rename itself has happened */
}

int file_replace(const char *path, const char *bytes, size_t len, mode_t mode, struct err *err)
{
	AUTO_FREE char *real = realpath(path, NULL);
	const char *target = real ? real : path;

	struct stat st;
	bool exists = stat(target, &st) == 0;

	char temporary[PATH_MAX];
	int n = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", target);
	if (n < 0 || (size_t)n >= sizeof(temporary))
		return err_set(err, ERR_INVALID, "the path %s is too long", target);

	AUTO_CLOSE int fd = mkostemp(temporary, O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot write beside %s", target);

	int error = fill_and_sync(fd, bytes, len, mode, exists ? &st : NULL);
	if (!error && rename(temporary, target))
		error = errno;
	if (error) {
		(void)unlink(temporary);
		return err_from_errno(err, error, "cannot write %s", target);
	}
	sync_directory_of(target);
	return 0;
}

int file_make_directories(const char *path, mode_t mode, struct err *err)
{
	AUTO_FREE char *copy = strdup(path);
	if (!copy)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (char *slash = copy; slash; *slash = '/') {
		slash = strchr(slash + 1, '/');
		if (slash)
			*slash = '\0';
		if (mkdir(copy, mode) && errno != EEXIST)
			return err_from_errno(err, errno, "cannot make the directory %s", copy);
		if (!slash)
			break;
	}
	return 0;
}

char *file_directory(const char *path)
{
	AUTO_FREE char *copy = strdup(path);
	return copy ? strdup(dirname(copy)) : NULL;
}

void file_open_standard(void)
{
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			(void)open("/dev/null", O_RDONLY); /* gets the lowest number: this one */
	}
}
