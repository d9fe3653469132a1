/* A command line, described by tables of options: what reads it, and what --help, the completions and the man pages are made
 * of. Called by the frame for every command; never prints and never ends the program.
 *
 * Long options as --name VALUE or --name=VALUE, short ones as -n VALUE or -nVALUE, flags together as -qk. "--" ends the
 * options. An option given twice counts as its last one, but for those that collect. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_type {
	OPTION_FLAG,    /* bool *, becomes true */
	OPTION_TEXT,    /* const char **, borrowed from argv */
	OPTION_TEXTS,   /* struct option_texts *, collects; options_free_texts */
	OPTION_INTEGER, /* int64_t *, within min … max */
	OPTION_SECONDS, /* int64_t *, in milliseconds; "1.5", also with a unit: 500ms, 10s, 5m, 2h, 1d; min … max in ms */
	OPTION_BYTES,   /* int64_t *; "512", also with a unit of 1024: 64K, 8M, 2G; min … max in bytes */
};

/* What can stand there, for the completions. */
enum option_hint { HINT_NONE, HINT_FILE, HINT_DIRECTORY, HINT_TASK, HINT_NODE, HINT_COMMAND };

struct option_texts {
	const char **items;
	size_t count;
};

struct option_row {
	const char *name;     /* without its dashes; NULL: a short one alone */
	char letter;          /* 0: a long one alone */
	enum option_type type;
	size_t offset;        /* in the struct that is filled */
	const char *argument; /* "FILE"; NULL for a flag */
	int64_t min, max;     /* both 0: not bounded (but never negative) */
	enum option_hint hint;
	const char *choices;  /* "plain json": the only values of an OPTION_TEXT; NULL: any */
	bool hidden;          /* another name of an option that is shown */
	const char *help;     /* one or more lines, separated by \n */
};

struct option_table {
	const struct option_row *rows;
	size_t count;
};

/* One table and the struct that its offsets are in. */
struct option_target {
	const struct option_table *table;
	void *into;
};

struct option_parse {
	struct option_target targets[2]; /* the command's, and the global ones */
	size_t target_count;
	bool stop_at_operand;            /* the first operand ends the options: what follows is a command of the person's own */

	/* What remains: operands in their order, in an array of the parse. */
	const char **operands;
	size_t operand_count;
};

/* Reads count words. ERR_INVALID with what is wrong, naming the option. options_done in both cases. */
int options_parse(struct option_parse *parse, const char *const *argv, size_t count, struct err *err) MUST_CHECK;
void options_done(struct option_parse *parse);

/* Sets one option of a table, as the command line would; for values from elsewhere. */
int options_set(const struct option_row *row, void *into, const char *value, struct err *err) MUST_CHECK;

void options_free_texts(struct option_texts *texts);

/* Of several names the one that is nearest to what was typed; NULL where none is near. `best` is the nearest so far and its
 * distance; begin with {NULL, 0}. */
struct option_nearest {
	const char *name;
	size_t distance;
};
void options_consider(struct option_nearest *nearest, const char *typed, const char *name);

/* "10s", "1.5", "500ms" → milliseconds. False where it is no such number, or too large to count. */
bool options_read_seconds(const char *text, int64_t *ms);
bool options_read_bytes(const char *text, int64_t *bytes);
