/* Owns items that are the files of a directory. Called through item_source; knows all names from the beginning, so that the
 * numbers mean the same files when a run is taken up again, and no file's content but the one that is read. */
#include "ctl/item_source_parts.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { NAMES_MAX = 256 * 1024 * 1024, DEPTH_MAX = 64, PATH_BYTES = 4096 };

struct item_folder {
	struct item_source source;
	int directory;     /* its descriptor */
	char *path;
	struct buf names;  /* each with its NUL */
	size_t *offsets;   /* of the names, sorted */
	int64_t count, capacity, given;
	struct buf content;
};

static int add_name(struct item_folder *folder, const char *name, struct err *err)
{
	if (folder->count == folder->capacity) {
		int64_t capacity = folder->capacity ? 2 * folder->capacity : 256;
		size_t *offsets = realloc(folder->offsets, (size_t)capacity * sizeof(*offsets));
		if (!offsets)
			return err_set(err, ERR_NOMEM, "out of memory");
		folder->offsets = offsets;
		folder->capacity = capacity;
	}
	folder->offsets[folder->count] = folder->names.len;
	int rc = buf_add(&folder->names, name, strlen(name) + 1);
	if (rc)
		return err_set(err, rc, "%s has too many files: their names are more than %d MiB", folder->path,
			       NAMES_MAX / 1024 / 1024);
	folder->count++;
	return 0;
}

/* Regular files, also behind symbolic links; directories only if they are none. */
static int look_at(struct item_folder *folder, const char *name, bool *is_directory, struct err *err)
{
	struct stat seen;
	*is_directory = false;
	if (fstatat(folder->directory, name, &seen, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : err_from_errno(err, errno, "%s/%s", folder->path, name);
	if (S_ISDIR(seen.st_mode)) {
		*is_directory = true;
		return 0;
	}
	if (S_ISLNK(seen.st_mode) && fstatat(folder->directory, name, &seen, 0))
		return err_from_errno(err, errno, "%s/%s", folder->path, name);
	if (!S_ISREG(seen.st_mode))
		return 0;
	if (seen.st_size > ITEM_MAX)
		return err_set(err, ERR_TOO_BIG, "%s/%s is larger than %d MiB, the most that an item can be", folder->path, name,
			       ITEM_MAX / 1024 / 1024);
	return add_name(folder, name, err);
}

static int scan(struct item_folder *folder, const char *below, unsigned depth, struct err *err)
{
	if (depth > DEPTH_MAX)
		return err_set(err, ERR_TOO_BIG, "%s/%s lies too deep", folder->path, below);
	int fd = openat(folder->directory, *below ? below : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	DIR *listing = fd < 0 ? NULL : fdopendir(fd);
	int rc = listing ? 0 : err_from_errno(err, errno, "%s/%s", folder->path, below);
	const struct dirent *entry;
	while (!rc && listing && (entry = readdir(listing))) {
		char name[PATH_BYTES];
		bool is_directory = false;
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		int len = snprintf(name, sizeof(name), "%s%s%s", below, *below ? "/" : "", entry->d_name);
		if (len < 0 || (size_t)len >= sizeof(name))
			rc = err_set(err, ERR_TOO_BIG, "%s/%s: a path is too long", folder->path, below);
		if (!rc)
			rc = look_at(folder, name, &is_directory, err);
		if (!rc && is_directory)
			rc = scan(folder, name, depth + 1, err);
	}
	if (listing)
		(void)closedir(listing);
	else if (fd >= 0)
		(void)close(fd);
	return rc;
}

static int by_name(const void *one, const void *other, void *context)
{
	const char *names = context;
	return strcmp(names + *(const size_t *)one, names + *(const size_t *)other);
}

static const char *name_of(const struct item_source *source, int64_t index)
{
	const struct item_folder *folder = (const struct item_folder *)source;
	return index >= 0 && index < folder->count ? folder->names.data + folder->offsets[index] : NULL;
}

static int next(struct item_source *source, struct item *item, enum item_got *got, struct err *err)
{
	struct item_folder *folder = (struct item_folder *)source;
	const char *name = name_of(source, folder->given);
	if (!name)
		return 0;
	AUTO_CLOSE int fd = openat(folder->directory, name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return err_from_errno(err, errno, "%s/%s", folder->path, name);
	buf_clear(&folder->content);
	for (;;) {
		char chunk[64 * 1024];
		ssize_t len = read(fd, chunk, sizeof(chunk));
		if (len == 0)
			break;
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_from_errno(err, errno, "%s/%s", folder->path, name);
		if (buf_add(&folder->content, chunk, (size_t)len))
			return err_set(err, ERR_TOO_BIG, "%s/%s is larger than %d MiB, the most that an item can be",
				       folder->path, name, ITEM_MAX / 1024 / 1024);
	}
	*item = (struct item){.bytes = buf_text(&folder->content), .len = folder->content.len, .name = name};
	*got = ITEM_READY;
	folder->given++;
	return 0;
}

static int64_t count(const struct item_source *source)
{
	return ((const struct item_folder *)source)->count;
}

static void free_folder(struct item_source *source)
{
	struct item_folder *folder = (struct item_folder *)source;
	if (folder->directory >= 0)
		(void)close(folder->directory);
	buf_done(&folder->names);
	buf_done(&folder->content);
	free(folder->offsets);
	free(folder->path);
	free(folder);
}

static const struct item_source_kind KIND = {.next = next, .count = count, .name = name_of, .free = free_folder};

struct item_source *item_folder_new(const char *directory, struct err *err)
{
	struct item_folder *folder = calloc(1, sizeof(*folder));
	if (!folder) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	folder->source.kind = &KIND;
	buf_init(&folder->names, NAMES_MAX);
	buf_init(&folder->content, ITEM_MAX);
	folder->path = strdup(directory);
	folder->directory = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = !folder->path ? err_set(err, ERR_NOMEM, "out of memory")
		 : folder->directory < 0 ? err_from_errno(err, errno, "%s", directory)
					 : scan(folder, "", 0, err);
	if (rc) {
		free_folder(&folder->source);
		return NULL;
	}
	if (folder->count)
		qsort_r(folder->offsets, (size_t)folder->count, sizeof(*folder->offsets), by_name, folder->names.data);
	return &folder->source;
}
