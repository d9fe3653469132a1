/* Configuration from a TOML file, described by a table of keys. The same table reads the file, checks it, names unknown
 * keys and wrong types with their line, and prints the commented sample that a first run writes. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_type {
	CONFIG_STRING,  /* char *, owned, never NULL */
	CONFIG_INTEGER, /* int64_t within min … max */
	CONFIG_BOOLEAN, /* bool */
	CONFIG_STRINGS, /* struct config_strings */
};

struct config_strings {
	char **items;
	size_t count;
};

struct config_key {
	const char *name;
	enum config_type type;
	size_t offset;           /* of the field in the program's own struct */
	const char *fallback;    /* the default as TOML text; for a key without one the empty value of its type */
	int64_t min, max;        /* of an integer */
	const char *unit;        /* for the sample and for messages: "seconds", "MB"; NULL without one */
	const char *help;        /* one or two sentences for the sample, lines separated by \n */
	const char *environment; /* a variable that overrides the file, or NULL */
	bool required;           /* stands uncommented in the sample; an empty value is an error */
	int (*check)(const char *value, struct err *err); /* of a string that is not empty, or NULL */
};

struct config_table {
	const char *file_name; /* "computehub.toml" */
	const char *title;     /* the sample's first comment line */
	const struct config_key *keys;
	size_t count;
	/* What no key shows alone, asked when each is good by itself; the text names the keys. NULL: nothing. */
	int (*check)(const void *config, struct err *err);
};

/* Fills the program's struct with the defaults. */
int config_set_defaults(const struct config_table *table, void *config, struct err *err) MUST_CHECK;

/* Defaults, then the file, then the environment, then what is required. Every problem is handed to `on_problem` (a line
 * of its own, "FILE:LINE: what is wrong"); the result is 0 or the code of the first one. `config` can be freed in both
 * cases. */
typedef void config_report(void *context, const char *problem);
int config_load(const struct config_table *table, void *config, const char *path, config_report *on_problem,
		void *context)
	MUST_CHECK;

/* Frees what the fields own. */
void config_done(const struct config_table *table, void *config);

/* Writes the commented sample to a file that does not exist yet, mode 0600, making its directory. `initial` gives values
 * to some keys: the sample has them uncommented. */
struct config_initial {
	const char *name;
	const char *value;
};
int config_write_sample(const struct config_table *table, const char *path, const struct config_initial *initial,
			size_t count, struct err *err) MUST_CHECK;

/* Puts `name = "value"` into the file, in the place of the old line or of the commented one, and leaves every other
 * byte alone. */
int config_save_string(const char *path, const char *name, const char *value, struct err *err) MUST_CHECK;

/* Where the configuration is, by the order: the given path, $IDM_GRIDCORE_CONFIG, /etc/idm-gridcore/, the user's
 * configuration directory. Where no file exists yet, the path at which a first run should write one. free() it; NULL only
 * without memory. */
struct config_place {
	char *path;
	bool exists;
};
int config_find(const char *file_name, const char *given, struct config_place *place, struct err *err) MUST_CHECK;

/* ${XDG_CONFIG_HOME:-~/.config}/idm-gridcore/FILE_NAME; free() it. NULL without memory, or where the user has no home. */
char *config_user_path(const char *file_name) MUST_CHECK;
