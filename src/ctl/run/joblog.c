/* Owns the form of the job log. Called by the run's sink and, for --resume, before a run; when a row is written is the sink's
 * affair. */
#include "ctl/run/joblog.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char TITLES[] = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

static void make_plain(struct buf *text, size_t from)
{
	for (size_t i = from; i < text->len; i++) {
		if ((unsigned char)text->data[i] < 0x20 || text->data[i] == 0x7f)
			text->data[i] = ' ';
	}
}

int joblog_format(struct buf *into, const struct joblog_row *row)
{
	size_t start = into->len;
	int rc = buf_printf(into, "%lld\t", (long long)row->seq);
	size_t host = into->len;
	if (!rc)
		rc = buf_printf(into, "%s", row->host);
	if (!rc) {
		make_plain(into, host);
		rc = buf_printf(into, "\t%.3f\t%10.3f\t%zu\t%zu\t%d\t%d\t", row->started, row->seconds, row->send, row->receive,
				row->exit_status, row->signal);
	}
	size_t command = into->len;
	if (!rc)
		rc = buf_printf(into, "%s", row->command);
	if (!rc) {
		make_plain(into, command);
		rc = buf_add(into, "\n", 1);
	}
	if (rc && into->len > start) {
		into->len = start;
		into->data[start] = '\0';
	}
	return rc;
}

int joblog_open(const char *path, struct err *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_APPEND, 0666);
	if (fd < 0)
		(void)err_from_errno(err, errno, "the job log %s", path);
	return fd;
}

int joblog_begin(int fd, const char *path, bool resume, struct err *err)
{
	struct stat seen;
	int rc = fstat(fd, &seen);
	if (!rc && !resume && S_ISREG(seen.st_mode) && seen.st_size > 0) {
		rc = ftruncate(fd, 0);
		seen.st_size = 0;
	}
	if (!rc && (seen.st_size > 0 || write(fd, TITLES, sizeof(TITLES) - 1) == (ssize_t)sizeof(TITLES) - 1))
		return 0;
	return err_from_errno(err, errno, "the job log %s", path);
}

/* The column number `index`, from 0; "" where the line has fewer. */
static const char *column(const char *line, int index)
{
	for (; index > 0 && line; index--) {
		line = strchr(line, '\t');
		line = line ? line + 1 : NULL;
	}
	return line ? line : "";
}

/* A half line at the end, of a run that was killed while writing it, counts as none. */
static int take_line(const char *line, size_t len, bool only_good, struct bits *done)
{
	int64_t seq = strtoll(line, NULL, 10);
	if (len == 0 || line[len - 1] != '\n' || seq <= 0 || !*column(line, 8))
		return 0;
	bool good = strtol(column(line, 6), NULL, 10) == 0 && strtol(column(line, 7), NULL, 10) == 0;
	if (!only_good || good)
		return bits_add(done, seq);
	bits_remove(done, seq);
	return 0;
}

int joblog_read(const char *path, bool only_good, struct bits *done, struct err *err)
{
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	AUTO_FREE char *line = NULL;
	size_t size = 0;
	ssize_t len;
	int rc = 0;
	if (!file)
		return errno == ENOENT ? 0 : err_from_errno(err, errno, "the job log %s", path);
	while (!rc && (len = getline(&line, &size, file)) >= 0)
		rc = take_line(line, (size_t)len, only_good, done);
	if (rc)
		return err_set(err, rc, "the job log %s has a number that no item can have", path);
	return ferror(file) ? err_from_errno(err, EIO, "the job log %s", path) : 0;
}
