/* Owns the directories of places: where they are, and who may enter. Called when a place opens and closes. Never follows
 * a link that another user put in the way: in /tmp anybody may make what we would.
 *
 *   $XDG_RUNTIME_DIR/idm-0123456789ab/       0700: nobody else gets through to the sockets
 *                      fedcba9876543210/     0711: mounted into the pause container, whose user is another one
 *                        s                   0666 */
#include "node/runtime/place_folder.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "base/random.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/sha.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>

enum {
	FOLDER_MODE = 0700,
	ADDED_MODE = 0711,
	OWNER_DIGITS = 12,
	NAME_DIGITS = 16,
	/* "/idm-…/…/s" and a NUL */
	BELOW_BASE = 5 + OWNER_DIGITS + 1 + NAME_DIGITS + 2 + 1,
	SOCKET_PATH_SIZE = sizeof(((struct sockaddr_un *)NULL)->sun_path),
};

/* ---- what an earlier run left ---- */

void place_folder_remove(const char *added)
{
	char path[2 * SOCKET_PATH_SIZE];
	(void)snprintf(path, sizeof(path), "%s/%s", added, PLACE_SOCKET);
	(void)unlink(path);
	if (rmdir(added) && errno != ENOENT)
		log_debug("runtime", "cannot remove the directory %s: %s", added, strerror(errno));
}

static void empty(const char *folder)
{
	DIR *directory = opendir(folder);
	const struct dirent *entry;
	char path[SOCKET_PATH_SIZE + NAME_DIGITS + 2];
	while (directory && (entry = readdir(directory))) {
		if (strlen(entry->d_name) != NAME_DIGITS)
			continue;
		(void)snprintf(path, sizeof(path), "%s/%.*s", folder, NAME_DIGITS, entry->d_name);
		place_folder_remove(path);
	}
	if (directory)
		(void)closedir(directory);
}

/* ---- the choice ---- */

/* Whether it is a directory of ours alone, and no link to one. */
static int claim(const char *path, struct err *err)
{
	struct stat status;
	if (mkdir(path, FOLDER_MODE) && errno != EEXIST)
		return err_from_errno(err, errno, "cannot make the directory %s", path);
	if (lstat(path, &status))
		return err_from_errno(err, errno, "cannot look at the directory %s", path);
	if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077))
		return err_set(err, ERR_DENIED, "%s was made by somebody else, or lets others in: remove it", path);
	return 0;
}

static char *open_below(const char *base, const char *owner_digits, struct err *err)
{
	char path[SOCKET_PATH_SIZE];
	if (strlen(base) + BELOW_BASE > SOCKET_PATH_SIZE || base[0] != '/') {
		(void)err_set(err, ERR_TOO_BIG, "the directory %s has too long a path for a Unix socket", base);
		return NULL;
	}
	(void)snprintf(path, sizeof(path), "%s/idm-%s", base, owner_digits);
	if (claim(path, err))
		return NULL;
	empty(path);
	char *folder = strdup(path);
	if (!folder)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	return folder;
}

static void digest(const char *owner, char digits[OWNER_DIGITS + 1])
{
	unsigned char sum[SHA256_DIGEST_LENGTH];
	(void)SHA256((const unsigned char *)owner, strlen(owner), sum);
	for (size_t i = 0; i < OWNER_DIGITS / 2; i++)
		(void)snprintf(digits + 2 * i, 3, "%02x", sum[i]);
}

char *place_folder_open(const char *owner, struct err *err)
{
	static const char *const VARIABLES[] = {"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "TMPDIR"};
	char digits[OWNER_DIGITS + 1];
	digest(owner, digits);
	for (size_t i = 0; i < sizeof(VARIABLES) / sizeof(VARIABLES[0]); i++) {
		const char *value = getenv(VARIABLES[i]);
		if (!value || !value[0])
			continue;
		/* systemd gives several with colons between them. */
		AUTO_FREE char *base = strndup(value, strcspn(value, ":"));
		struct err why = {0};
		char *folder = base ? open_below(base, digits, &why) : NULL;
		if (folder)
			return folder;
		log_debug("runtime", "%s is of no use for sockets: %s", VARIABLES[i], why.text);
	}
	return open_below("/tmp", digits, err);
}

void place_folder_close(char *folder)
{
	if (folder)
		(void)rmdir(folder);
	free(folder);
}

char *place_folder_add(const char *folder, struct err *err)
{
	char path[SOCKET_PATH_SIZE];
	unsigned long long number;
	random_bytes(&number, sizeof(number));
	(void)snprintf(path, sizeof(path), "%s/%016llx", folder, number);
	/* The mask must not take the others' right to enter. */
	if (mkdir(path, ADDED_MODE) || chmod(path, ADDED_MODE)) {
		(void)err_from_errno(err, errno, "cannot make the directory %s", path);
		return NULL;
	}
	char *added = strdup(path);
	if (!added)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	return added;
}
