/* What gridctl tells of itself, made of the table of commands. */
#pragma once

#include "ctl/command.h"

#include <stdio.h>

/* Their names alone, by groups: what `gridctl` alone prints. */
void help_print_short(FILE *out);

/* Commands by groups, and the global options: what `gridctl --help` prints. */
void help_print_all(FILE *out);

/* One command: usage, purpose, options. */
void help_print_command(FILE *out, const struct command *command);

/* The commands that begin with this word: "node". */
void help_print_family(FILE *out, const char *word);

/* "--name ARGUMENT", "-q, --quiet" */
void help_option_text(const struct option_row *row, char *into, size_t size);

/* The lines about exit statuses, files and the environment; for the man page too. */
extern const char HELP_EXIT_STATUS[];
extern const char HELP_CONFIGURATION[];
