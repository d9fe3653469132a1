/* Owns the reading of configuration against a table of keys. Called once at start-up; never logs, and never puts a
 * value into a message, since a value may be a secret. */
#include "base/config.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/toml_reader.h"

#include <stdlib.h>
#include <string.h>

enum { FILE_MAX_BYTES = 256 * 1024, STRINGS_MAX = 1000 };

static const char *const TYPE_NAMES[] = {
	[CONFIG_STRING] = "a string",
	[CONFIG_INTEGER] = "an integer",
	[CONFIG_BOOLEAN] = "true or false",
	[CONFIG_STRINGS] = "an array of strings",
};

static const enum toml_type TOML_TYPES[] = {
	[CONFIG_STRING] = TOML_STRING,
	[CONFIG_INTEGER] = TOML_INTEGER,
	[CONFIG_BOOLEAN] = TOML_BOOLEAN,
	[CONFIG_STRINGS] = TOML_STRINGS,
};

static void *field(const struct config_key *key, void *config)
{
	return (char *)config + key->offset;
}

static void free_strings(struct config_strings *strings)
{
	for (size_t i = 0; i < strings->count; i++)
		free(strings->items[i]);
	free(strings->items);
	*strings = (struct config_strings){0};
}

static int set_string(char **at, const char *value)
{
	char *copy = strdup(value);
	if (!copy)
		return ERR_NOMEM;
	free(*at);
	*at = copy;
	return 0;
}

static int set_strings(struct config_strings *at, const struct toml_value *value)
{
	size_t count = value->strings.count;
	if (count > STRINGS_MAX)
		return ERR_TOO_BIG;
	struct config_strings fresh = {.items = calloc(count ? count : 1, sizeof(char *))};
	if (!fresh.items)
		return ERR_NOMEM;
	for (; fresh.count < count; fresh.count++) {
		fresh.items[fresh.count] = strdup(value->strings.items[fresh.count]);
		if (!fresh.items[fresh.count]) {
			free_strings(&fresh);
			return ERR_NOMEM;
		}
	}
	free_strings(at);
	*at = fresh;
	return 0;
}

static int check_string(const struct config_key *key, const char *value, struct err *err)
{
	if (*value == '\0' || !key->check)
		return 0;
	int rc = key->check(value, err);
	return rc ? err_wrap(err, "%s", key->name) : 0;
}

/* Puts one value of the right type into its field, or says why not. */
static int set_value(const struct config_key *key, const struct toml_value *value, void *config, struct err *err)
{
	if (value->type != TOML_TYPES[key->type] && !(key->type == CONFIG_STRINGS && value->type == TOML_STRINGS))
		return err_set(err, ERR_INVALID, "%s must be %s, not %s %s", key->name, TYPE_NAMES[key->type],
			       strchr("aeiou", value->type_name[0]) ? "an" : "a", value->type_name);

	int rc = 0;
	switch (key->type) {
	case CONFIG_STRING:
		rc = check_string(key, value->string, err);
		if (rc)
			return rc;
		rc = set_string(field(key, config), value->string);
		break;
	case CONFIG_INTEGER:
		if (value->integer < key->min || value->integer > key->max)
			return err_set(err, ERR_INVALID, "%s must be from %lld to %lld%s%s", key->name,
				       (long long)key->min, (long long)key->max, key->unit ? " " : "",
				       key->unit ? key->unit : "");
		*(int64_t *)field(key, config) = value->integer;
		break;
	case CONFIG_BOOLEAN:
		*(bool *)field(key, config) = value->boolean;
		break;
	case CONFIG_STRINGS:
		rc = set_strings(field(key, config), value);
		break;
	}
	return rc ? err_set(err, rc, "%s: too large or out of memory", key->name) : 0;
}

static const struct config_key *find_key(const struct config_table *table, const char *name)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->keys[i].name, name) == 0)
			return &table->keys[i];
	}
	return NULL;
}

struct reading {
	const struct config_table *table;
	void *config;
	const char *path; /* NULL while defaults are read: those are ours and must fit */
	config_report *report;
	void *context;
	int first_error;
};

static void report(struct reading *reading, int line, const struct err *err)
{
	char text[ERR_TEXT_MAX + 512];
	if (line > 0)
		(void)snprintf(text, sizeof(text), "%s:%d: %s", reading->path, line, err->text);
	else
		(void)snprintf(text, sizeof(text), "%s: %s", reading->path, err->text);
	reading->report(reading->context, text);
	if (!reading->first_error)
		reading->first_error = err->code;
}

static int on_file_value(void *context, const struct toml_value *value)
{
	struct reading *reading = context;
	struct err err = {0};
	const struct config_key *key = find_key(reading->table, value->key);
	if (!key)
		(void)err_set(&err, ERR_INVALID, "unknown key \"%s\"; --help lists the keys", value->key);
	else
		(void)set_value(key, value, reading->config, &err);
	if (err.code)
		report(reading, value->line, &err);
	return 0; /* go on: all problems are named at once */
}

static int on_default_value(void *context, const struct toml_value *value)
{
	struct reading *reading = context;
	return set_value(find_key(reading->table, value->key), value, reading->config, NULL);
}

static const char *empty_value(enum config_type type)
{
	switch (type) {
	case CONFIG_INTEGER:
		return "0";
	case CONFIG_BOOLEAN:
		return "false";
	case CONFIG_STRINGS:
		return "[]";
	default:
		return "\"\"";
	}
}

int config_set_defaults(const struct config_table *table, void *config, struct err *err)
{
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);
	int rc = 0;
	for (size_t i = 0; i < table->count && !rc; i++) {
		const struct config_key *key = &table->keys[i];
		rc = buf_printf(&text, "%s = %s\n", key->name, key->fallback ? key->fallback : empty_value(key->type));
	}
	struct reading reading = {.table = table, .config = config};
	if (!rc)
		rc = toml_read(buf_text(&text), text.len, on_default_value, &reading, NULL);
	if (rc)
		(void)err_set(err, rc, "out of memory"); /* nothing else is wrong with our own defaults */
	buf_done(&text);
	return rc;
}

static void read_environment(struct reading *reading)
{
	for (size_t i = 0; i < reading->table->count; i++) {
		const struct config_key *key = &reading->table->keys[i];
		const char *value = key->environment ? getenv(key->environment) : NULL;
		if (!value || !*value)
			continue;
		struct err err = {0};
		if (check_string(key, value, &err) || set_string(field(key, reading->config), value)) {
			if (!err.code)
				(void)err_set(&err, ERR_NOMEM, "out of memory");
			(void)err_wrap(&err, "in the environment, $%s", key->environment);
			report(reading, 0, &err);
		}
	}
}

static void require_keys(struct reading *reading)
{
	for (size_t i = 0; i < reading->table->count; i++) {
		const struct config_key *key = &reading->table->keys[i];
		if (!key->required || key->type != CONFIG_STRING || **(char **)field(key, reading->config))
			continue;
		struct err err = {0};
		if (key->environment)
			(void)err_set(&err, ERR_INVALID, "%s is not set; set it here, or in $%s", key->name,
				      key->environment);
		else
			(void)err_set(&err, ERR_INVALID, "%s is not set; set it here", key->name);
		report(reading, 0, &err);
	}
}

int config_load(const struct config_table *table, void *config, const char *path, config_report *on_problem,
		void *context)
{
	struct reading reading = {
		.table = table, .config = config, .path = path, .report = on_problem, .context = context};
	struct err err = {0};
	struct buf text;
	buf_init(&text, FILE_MAX_BYTES);

	if (config_set_defaults(table, config, &err) || file_read(path, &text, &err)) {
		on_problem(context, err.text); /* names the file itself */
		reading.first_error = err.code;
	} else if (toml_read(buf_text(&text), text.len, on_file_value, &reading, &err)) {
		report(&reading, 0, &err);
	} else {
		read_environment(&reading);
		if (!reading.first_error)
			require_keys(&reading);
		if (!reading.first_error && table->check && table->check(config, &err))
			report(&reading, 0, &err);
	}
	buf_done(&text);
	return reading.first_error;
}

void config_done(const struct config_table *table, void *config)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct config_key *key = &table->keys[i];
		if (key->type == CONFIG_STRING) {
			char **string = field(key, config);
			free(*string);
			*string = NULL;
		} else if (key->type == CONFIG_STRINGS) {
			free_strings(field(key, config));
		}
	}
}
