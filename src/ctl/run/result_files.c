/* Owns the layout of --results. Called by the run for each result and each dead letter; keeps nothing. */
#include "ctl/run/result_files.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { PATH_BYTES = 64 * 1024 };

/* A name that is nowhere else, then the right one. Not synced: a power cut may cost what the hub has long counted as read. */
static int write_file(const char *path, const char *bytes, size_t len, struct err *err)
{
	struct buf beside;
	buf_init(&beside, PATH_BYTES);
	int rc = buf_printf(&beside, "%s.part", path) ? err_set(err, ERR_TOO_BIG, "%s: the path is too long", path) : 0;
	AUTO_CLOSE int fd = rc ? -1 : open(beside.data, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	if (!rc && fd < 0)
		rc = err_from_errno(err, errno, "%s", path);
	for (size_t done = 0; !rc && done < len;) {
		ssize_t written = write(fd, bytes + done, len - done);
		if (written >= 0)
			done += (size_t)written;
		else if (errno != EINTR)
			rc = err_from_errno(err, errno, "%s", path);
	}
	if (!rc && rename(beside.data, path))
		rc = err_from_errno(err, errno, "%s", path);
	if (rc && fd >= 0)
		(void)unlink(beside.data);
	buf_done(&beside);
	return rc;
}

/* A value of an item as a name of a directory. */
static int add_value(struct buf *path, const char *value, size_t len)
{
	int rc = len ? 0 : buf_add(path, "\\0", 2);
	for (size_t i = 0; i < len && !rc; i++) {
		const char *instead = value[i] == '/' ? "\\_" : value[i] == '\\' ? "\\\\" : value[i] == '\t' ? "\\t" : NULL;
		rc = instead ? buf_add(path, instead, 2) : buf_add(path, value + i, 1);
	}
	/* "." and ".." are no names */
	if (!rc && ((len == 1 && value[0] == '.') || (len == 2 && value[0] == '.' && value[1] == '.')))
		rc = buf_add(path, "\\", 1);
	return rc;
}

static int add_values(struct buf *path, const char *item, size_t len)
{
	const char *end = item + len;
	int rc = 0;
	for (int column = 1; !rc && column <= 9; column++) {
		const char *tab = memchr(item, '\t', (size_t)(end - item));
		const char *stop = tab && column < 9 ? tab : end;
		rc = buf_printf(path, "/%d/", column);
		if (!rc)
			rc = add_value(path, item, (size_t)(stop - item));
		if (stop == end)
			break;
		item = stop + 1;
	}
	return rc;
}

static int write_three(const char *folder, const struct result_file *file, struct err *err)
{
	char seq[32];
	int seq_len = snprintf(seq, sizeof(seq), "%lld\n", (long long)file->seq);
	const struct {
		const char *name, *bytes;
		size_t len;
	} files[] = {{"stderr", file->error, file->error_len},
		     {"seq", seq, (size_t)seq_len},
		     {"stdout", file->output, file->output_len}};
	int rc = file_make_directories(folder, 0777, err);
	for (size_t i = 0; !rc && i < sizeof(files) / sizeof(files[0]); i++) {
		struct buf path;
		buf_init(&path, PATH_BYTES);
		rc = buf_printf(&path, "%s/%s", folder, files[i].name) ? err_set(err, ERR_TOO_BIG, "%s: the path is too long", folder)
								     : write_file(path.data, files[i].bytes, files[i].len, err);
		buf_done(&path);
	}
	return rc;
}

static int write_named(const char *path, const struct result_file *file, struct err *err)
{
	AUTO_FREE char *folder = file_directory(path);
	if (file->failed)
		return 0;
	int rc = folder ? file_make_directories(folder, 0777, err) : err_set(err, ERR_NOMEM, "out of memory");
	return rc ? rc : write_file(path, file->output, file->output_len, err);
}

int result_files_write(const char *directory, enum result_layout layout, const struct result_file *file, struct err *err)
{
	struct buf path;
	buf_init(&path, PATH_BYTES);
	int rc = buf_printf(&path, "%s", directory);
	if (!rc && layout == LAYOUT_NAMES)
		rc = buf_printf(&path, "/%s", file->name);
	else if (!rc && layout == LAYOUT_VALUES)
		rc = add_values(&path, file->item, file->item_len);
	else if (!rc)
		rc = buf_printf(&path, "/%lld", (long long)file->seq);
	if (rc)
		rc = err_set(err, ERR_TOO_BIG, "the result of item %lld has too long a path", (long long)file->seq);
	else if (layout == LAYOUT_NAMES)
		rc = write_named(path.data, file, err);
	else
		rc = write_three(path.data, file, err);
	buf_done(&path);
	return rc;
}
