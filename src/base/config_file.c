/* Owns the configuration file as a text: where it is searched for, how a first one looks, how one value is put into it.
 * Called at start-up and when the hub gives an id; never reads values (config.c does). */
#include "base/config.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 256 * 1024 };

static const char SYSTEM_DIRECTORY[] = "/etc/idm-gridcore";

/* TOML's basic string: quotes, backslashes and control characters escaped. */
static int add_quoted(struct buf *buf, const char *value)
{
	int rc = buf_add(buf, "\"", 1);
	for (const char *c = value; *c && !rc; c++) {
		if (*c == '"' || *c == '\\')
			rc = buf_printf(buf, "\\%c", *c);
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			rc = buf_printf(buf, "\\u%04x", (unsigned)(unsigned char)*c);
		else
			rc = buf_add(buf, c, 1);
	}
	return rc ? rc : buf_add(buf, "\"", 1);
}

static int add_comment(struct buf *buf, const char *text)
{
	int rc = 0;
	while (text && *text && !rc) {
		size_t len = strcspn(text, "\n");
		rc = buf_printf(buf, "# %.*s\n", (int)len, text);
		text += len + (text[len] == '\n');
	}
	return rc;
}

static int add_sample_key(struct buf *buf, const struct config_key *key, const char *value)
{
	int rc = buf_add(buf, "\n", 1);
	if (!rc)
		rc = add_comment(buf, key->help);
	if (!rc && key->unit)
		rc = buf_printf(buf, "# (%s)\n", key->unit);
	if (!rc)
		rc = buf_printf(buf, "%s%s = ", value || key->required ? "" : "# ", key->name);
	if (!rc)
		rc = value ? add_quoted(buf, value) : buf_printf(buf, "%s", key->fallback ? key->fallback : "\"\"");
	return rc ? rc : buf_add(buf, "\n", 1);
}

static const char *initial_value(const struct config_initial *initial, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(initial[i].name, name) == 0)
			return initial[i].value;
	}
	return NULL;
}

int config_write_sample(const struct config_table *table, const char *path, const struct config_initial *initial,
			size_t count, struct err *err)
{
	AUTO_FREE char *directory = file_directory(path);
	if (!directory)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = file_make_directories(directory, 0755, err);
	if (rc)
		return rc;

	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	rc = add_comment(&text, table->title);
	for (size_t i = 0; i < table->count && !rc; i++) {
		const struct config_key *key = &table->keys[i];
		rc = add_sample_key(&text, key, initial_value(initial, count, key->name));
	}
	if (rc)
		(void)err_set(err, rc, "out of memory");
	else
		rc = file_replace(path, buf_text(&text), text.len, 0600, err);
	buf_done(&text);
	return rc;
}

/* How a line stands to the key: a plain assignment, a commented one, the start of a table, or something else. */
enum line_kind { LINE_OTHER, LINE_ASSIGNMENT, LINE_COMMENTED, LINE_TABLE };

static enum line_kind classify(const char *line, size_t len, const char *name)
{
	const char *at = line;
	const char *end = line + len;
	enum line_kind kind = LINE_ASSIGNMENT;

	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	if (at < end && *at == '[')
		return LINE_TABLE;
	if (at < end && *at == '#') {
		kind = LINE_COMMENTED;
		at++;
		while (at < end && (*at == ' ' || *at == '\t'))
			at++;
	}
	size_t name_len = strlen(name);
	if ((size_t)(end - at) <= name_len || memcmp(at, name, name_len) != 0)
		return LINE_OTHER;
	at += name_len;
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at < end && *at == '=' ? kind : LINE_OTHER;
}

/* The line to replace: the assignment, else the first commented one; without either, the place before the first table
 * (an empty span). */
struct span {
	size_t start, end; /* end is past the newline */
};

static struct span find_line(const char *text, size_t len, const char *name)
{
	struct span commented = {len, len};
	struct span insertion = {len, len};
	for (size_t start = 0; start < len;) {
		const char *newline = memchr(text + start, '\n', len - start);
		size_t end = newline ? (size_t)(newline - text) + 1 : len;
		switch (classify(text + start, end - start, name)) {
		case LINE_ASSIGNMENT:
			return (struct span){start, end};
		case LINE_COMMENTED:
			if (commented.start == len)
				commented = (struct span){start, end};
			break;
		case LINE_TABLE:
			insertion = (struct span){start, start};
			end = len; /* what follows belongs to the table */
			break;
		case LINE_OTHER:
			break;
		}
		start = end;
	}
	return commented.start < len ? commented : insertion;
}

int config_save_string(const char *path, const char *name, const char *value, struct err *err)
{
	struct buf old;
	struct buf fresh;
	buf_init(&old, FILE_MAX_BYTES);
	buf_init(&fresh, 2 * FILE_MAX_BYTES);

	int rc = file_read(path, &old, err);
	if (!rc) {
		struct span span = find_line(buf_text(&old), old.len, name);
		bool open_line = span.start > 0 && old.data[span.start - 1] != '\n';
		rc = buf_add(&fresh, old.data, span.start);
		if (!rc)
			rc = buf_printf(&fresh, "%s%s = ", open_line ? "\n" : "", name);
		if (!rc)
			rc = add_quoted(&fresh, value);
		if (!rc)
			rc = buf_add(&fresh, "\n", 1);
		if (!rc)
			rc = buf_add(&fresh, old.data + span.end, old.len - span.end);
		if (rc)
			(void)err_set(err, rc, "out of memory");
		else
			rc = file_replace(path, buf_text(&fresh), fresh.len, 0600, err);
	}
	buf_done(&old);
	buf_done(&fresh);
	return rc;
}

static char *join(const char *directory, const char *middle, const char *file_name)
{
	struct buf path;
	buf_init(&path, 4096);
	if (buf_printf(&path, "%s%s/%s", directory, middle, file_name)) {
		buf_done(&path);
		return NULL;
	}
	return buf_steal(&path);
}

char *config_user_path(const char *file_name)
{
	const char *config_home = getenv("XDG_CONFIG_HOME");
	if (config_home && config_home[0] == '/')
		return join(config_home, "/idm-gridcore", file_name);
	const char *home = getenv("HOME");
	return home && home[0] == '/' ? join(home, "/.config/idm-gridcore", file_name) : NULL;
}

static bool is_there(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 || errno != ENOENT; /* one that we may not read is there too, and is an error later */
}

static int found(struct config_place *place, char *path, struct err *err)
{
	if (!path)
		return err_set(err, ERR_NOMEM, "out of memory");
	*place = (struct config_place){.path = path, .exists = is_there(path)};
	return 0;
}

int config_find(const char *file_name, const char *given, struct config_place *place, struct err *err)
{
	const char *from_environment = getenv("IDM_GRIDCORE_CONFIG");
	if (given)
		return found(place, strdup(given), err);
	if (from_environment && *from_environment)
		return found(place, strdup(from_environment), err);

	AUTO_FREE char *system = join(SYSTEM_DIRECTORY, "", file_name);
	AUTO_FREE char *user = config_user_path(file_name);
	if (!system)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (is_there(system) || !user || (!is_there(user) && geteuid() == 0))
		return found(place, steal(system), err);
	return found(place, steal(user), err);
}
