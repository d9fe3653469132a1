/* Owns the file with the node's secret. Called by the agent at start and after a registration; never logs, and never puts the
 * secret into an error. */
#include "node/secret_file.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/config_checks.h"
#include "base/file.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int make_path(const char *state_directory, const char *node_id, char path[PATH_MAX], struct err *err)
{
	if (!state_directory)
		return err_set(err, ERR_INVALID, "no place for it: set state_dir in the configuration");
	int len = snprintf(path, PATH_MAX, "%s/secret-%s", state_directory, node_id);
	return len < PATH_MAX ? 0 : err_set(err, ERR_INVALID, "the path of state_dir is too long");
}

/* One line; what a person's editor leaves behind it is dropped. */
static int take_line(const struct buf *text, const char *path, char *secret, size_t size, struct err *err)
{
	size_t len = strcspn(buf_text(text), "\r\n");
	if (len == 0 || len >= size)
		return err_set(err, ERR_INVALID, "%s holds no secret", path);
	memcpy(secret, buf_text(text), len);
	secret[len] = '\0';
	if (config_check_token(secret, NULL) == 0)
		return 0;
	secret[0] = '\0';
	return err_set(err, ERR_INVALID, "%s holds no secret", path);
}

int secret_file_read(const char *state_directory, const char *node_id, char *secret, size_t size, struct err *err)
{
	char path[PATH_MAX];
	struct buf text;
	secret[0] = '\0';
	int rc = make_path(state_directory, node_id, path, err);
	if (rc)
		return rc;
	buf_init(&text, 4096);
	rc = file_read(path, &text, err);
	if (!rc)
		rc = take_line(&text, path, secret, size, err);
	buf_done(&text);
	if (rc != ERR_NOT_FOUND)
		return rc;
	if (err)
		*err = (struct err){0};
	return 0;
}

int secret_file_write(const char *state_directory, const char *node_id, const char *secret, struct err *err)
{
	char path[PATH_MAX];
	char line[512];
	int rc = make_path(state_directory, node_id, path, err);
	int len = snprintf(line, sizeof(line), "%s\n", secret);
	if (!rc && (size_t)len >= sizeof(line))
		rc = err_set(err, ERR_TOO_BIG, "the secret is too long");
	if (!rc)
		rc = file_make_directories(state_directory, 0700, err);
	if (rc)
		return rc;
	(void)chmod(path, 0600); /* replacing a file keeps its mode; most often there is none */
	return file_replace(path, line, (size_t)len, 0600, err);
}

void secret_file_remove(const char *state_directory, const char *node_id)
{
	char path[PATH_MAX];
	if (make_path(state_directory, node_id, path, NULL) == 0)
		(void)unlink(path);
}
