/* Owns the form of a worker's record. Called by the process runtime; never looks whether what it says is still true. It does
 * not wait for the disk: a record has to outlive our end, and not the machine's, at which all processes end. */
#include "node/runtime/process_record.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

enum { RECORD_MAX = 4096 };

static const char DIRECTORY[] = "directory ";
static const char CGROUP[] = "cgroup ";

static int write_line(int fd, const char *path, const char *text, size_t len, struct err *err)
{
	ssize_t written = write(fd, text, len);
	if (written == (ssize_t)len)
		return 0;
	return err_from_errno(err, written < 0 ? errno : ENOSPC, "cannot write the worker's record %s", path);
}

int process_record_begin(const char *path, const struct process_record *record, struct err *err)
{
	char text[RECORD_MAX];
	int len = snprintf(text, sizeof(text), "%s%s\n%s%s\n", DIRECTORY, record->directory, CGROUP, record->cgroup);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot make the worker's record %s", path);
	return write_line(fd, path, text, (size_t)len, err);
}

int process_record_add_group(const char *path, const struct process_record *record, struct err *err)
{
	char text[128];
	int len = snprintf(text, sizeof(text), "group %d %" PRIu64 " %s\n", record->group, record->start, record->boot);
	AUTO_CLOSE int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot write the worker's record %s", path);
	return write_line(fd, path, text, (size_t)len, err);
}

static void read_line(const char *line, struct process_record *record)
{
	if (strncmp(line, DIRECTORY, strlen(DIRECTORY)) == 0)
		text_copy(record->directory, sizeof(record->directory), line + strlen(DIRECTORY));
	else if (strncmp(line, CGROUP, strlen(CGROUP)) == 0)
		text_copy(record->cgroup, sizeof(record->cgroup), line + strlen(CGROUP));
	else if (sscanf(line, "group %d %" SCNu64 " %39s", &record->group, &record->start, record->boot) < 2)
		record->group = 0;
}

int process_record_read(const char *path, struct process_record *record, struct err *err)
{
	struct buf text;
	*record = (struct process_record){0};
	buf_init(&text, RECORD_MAX);
	int rc = file_read(path, &text, err);
	for (char *line = text.data; !rc && line && *line;) {
		char *newline = strchr(line, '\n');
		if (!newline)
			break;
		*newline = '\0';
		read_line(line, record);
		line = newline + 1;
	}
	buf_done(&text);
	if (!rc && record->directory[0] != '/')
		rc = err_set(err, ERR_INVALID, "%s is no worker's record", path);
	if (record->group <= 1)
		record->group = 0;
	return rc;
}
