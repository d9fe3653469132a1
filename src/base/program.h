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
	const char *more_options;         /* lines for --help about options that main.c takes itself; NULL: none */
	const struct config_table *config;
	/* Values for the sample that a first run writes, for example a fresh token. NULL: none. */
	size_t (*first_values)(struct config_initial *into, size_t max);
	/* Whether the program can work with such a fresh file, and goes on with it. */
	bool runs_unconfigured;
	/* What the first run's log says behind where that file is, and in a line of its own behind "next: ": what its reader
	 * does now, with the commands to type. */
	const char *first_file;
	const char *first_steps;
};

/* The program's man page, in troff, from what stands above (program_man.c). */
void program_print_man(const struct program *program);

struct program_start {
	char *config_path; /* free() it */
	bool done;         /* nothing more to do: end with exit_code */
	int exit_code;
};

/* Reads the arguments and fills `config` (which config_done frees in both cases). log_level: the offset of the config's
 * string with the level's name. */
struct program_start program_start(const struct program *program, int argc, char **argv, void *config,
				   size_t log_level_offset);
