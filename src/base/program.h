/* What every daemon does before it begins its work: the command line, the help text, finding and reading the
 * configuration, the first run's file. */
#pragma once

#include "base/config.h"

#include <stdbool.h>

enum {
	EXIT_CODE_FAILURE = 1, /* something failed at run time */
	EXIT_CODE_USAGE = 2,   /* the command line is wrong */
	EXIT_CODE_CONFIG = 78, /* the configuration is wrong or incomplete (EX_CONFIG of sysexits.h) */
};

struct program {
	const char *name;                 /* "computehub" */
	const char *purpose;              /* one line for --help */
	const struct config_table *config;
	/* Values for the sample that a first run writes, for example a fresh token. NULL: none. */
	size_t (*first_values)(struct config_initial *into, size_t max);
	/* Whether the program can work with such a fresh file; if not, `first_steps` says what to fill in. */
	bool runs_unconfigured;
	const char *first_steps;
	/* Whether the values that were read go together; NULL: always. */
	int (*check)(const void *config, struct err *err);
};

struct program_start {
	char *config_path; /* free() it */
	bool done;         /* nothing more to do: end with exit_code */
	int exit_code;
};

/* Reads the arguments and fills `config` (which config_done frees in both cases). log_level: the offset of the config's
 * string with the level's name. */
struct program_start program_start(const struct program *program, int argc, char **argv, void *config,
				   size_t log_level_offset);
