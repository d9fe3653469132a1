/* Owns the help texts that no single command has. Called by main.c and the man page; reads the table of commands, knows none. */
#include "ctl/help.h"

#include "ctl/commands.h"

#include <stdio.h>
#include <string.h>

enum { OPTION_WIDTH = 24, GROUP_WIDTH = 10, SHORT_WIDTH = 78 };

const char HELP_EXIT_STATUS[] =
	"0 good, 1 failed, 2 wrong command line, 69 the hub does not answer, 77 the hub\n"
	"refuses the token (or is not the one that tls_ca or tls_pin name), 78 wrong\n"
	"configuration, 130 interrupted. run, wait and attach: the number of items that\n"
	"failed, up to 100; 101 for more.\n";

const char HELP_CONFIGURATION[] =
	"Where the hub is, and the token for it, are taken from the first of: the options,\n"
	"$IDM_GRIDCORE_HUB and $IDM_GRIDCORE_ADMIN_TOKEN or $IDM_GRIDCORE_TOKEN,\n"
	"${XDG_CONFIG_HOME:-~/.config}/idm-gridcore/gridctl.toml (else the one in\n"
	"/etc/idm-gridcore). Without any, the hub of this machine: http://127.0.0.1:8080, with\n"
	"the admin_token of its computehub.toml, for whoever may read that. 'gridctl config'\n"
	"shows what is used, 'gridctl config init' writes the file.\n";

void help_option_text(const struct option_row *row, char *into, size_t size)
{
	char letter[8] = "    ";
	if (row->letter)
		(void)snprintf(letter, sizeof(letter), "-%c%s", row->letter, row->name ? ", " : "");
	(void)snprintf(into, size, "%s%s%s%s%s", letter, row->name ? "--" : "", row->name ? row->name : "", row->argument ? " " : "",
		       row->argument ? row->argument : "");
}

static void print_indented(FILE *out, const char *text, int indent)
{
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		(void)fprintf(out, "%*s%.*s\n", len > 0 ? indent : 0, "", (int)len, line);
		line += len + (line[len] == '\n');
	}
}

static void print_options(FILE *out, const struct option_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		char text[128];
		if (row->hidden)
			continue;
		help_option_text(row, text, sizeof(text));
		size_t first = strcspn(row->help, "\n");
		if (strlen(text) < OPTION_WIDTH - 1)
			(void)fprintf(out, "  %-*s%.*s\n", OPTION_WIDTH, text, (int)first, row->help);
		else
			(void)fprintf(out, "  %s\n%*s%.*s\n", text, OPTION_WIDTH + 2, "", (int)first, row->help);
		if (row->help[first] == '\n')
			print_indented(out, row->help + first + 1, OPTION_WIDTH + 2);
	}
}

static void print_row(FILE *out, const struct command *command)
{
	char call[128];
	(void)snprintf(call, sizeof(call), "%s%s%s", command->name, *command->usage ? " " : "", command->usage);
	if (strlen(call) < OPTION_WIDTH + 4)
		(void)fprintf(out, "  %-*s%s\n", OPTION_WIDTH + 4, call, command->purpose);
	else
		(void)fprintf(out, "  %s\n%*s%s\n", call, OPTION_WIDTH + 6, "", command->purpose);
}

void help_print_all(FILE *out)
{
	(void)fprintf(out, "Usage: gridctl [OPTION]... COMMAND [ARGUMENT]...\n"
			   "The command line of IDM-GridCore: gives work to a hub, watches it, brings its results.\n");
	for (int group = 0; group < GROUP_COUNT; group++) {
		bool begun = false;
		for (size_t i = 0; i < COMMAND_COUNT; i++) {
			if (COMMANDS[i]->hidden || COMMANDS[i]->group != (enum command_group)group)
				continue;
			if (!begun)
				(void)fprintf(out, "\n%s:\n", command_group_title((enum command_group)group));
			begun = true;
			print_row(out, COMMANDS[i]);
		}
	}
	(void)fprintf(out, "\nOptions of every command:\n");
	print_options(out, &GLOBAL_OPTIONS);
	(void)fprintf(out, "\n%s\nExit status: %s\n'gridctl COMMAND --help' or 'gridctl help COMMAND' tells more.\n", HELP_CONFIGURATION,
		      HELP_EXIT_STATUS);
}

/* "tasks task next … node stop|drain": one line for a group, or more. */
static void print_group(FILE *out, enum command_group group)
{
	const char *family = "";
	size_t family_len = 0;
	const char *alone = ""; /* the last one of one word: "config", before "config init" */
	int column = fprintf(out, "  %-*s", GROUP_WIDTH, command_group_title(group));
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const char *name = COMMANDS[i]->name;
		size_t len = strcspn(name, " ");
		if (COMMANDS[i]->hidden || COMMANDS[i]->group != group)
			continue;
		bool same = name[len] == ' ' && len == family_len && strncmp(name, family, len) == 0;
		if (!same && column + (int)strlen(name) >= SHORT_WIDTH)
			column = fprintf(out, "\n  %-*s", GROUP_WIDTH, "") - 1;
		bool optional = name[len] == ' ' && strncmp(name, alone, len) == 0 && !alone[len];
		if (optional)
			column += fprintf(out, " [%s]", name + len + 1);
		else
			column += same ? fprintf(out, "|%s", name + len + 1) : fprintf(out, " %s", name);
		alone = name[len] == ' ' ? alone : name;
		family = name;
		family_len = name[len] == ' ' ? len : 0;
	}
	(void)fprintf(out, "\n");
}

void help_print_short(FILE *out)
{
	(void)fprintf(out, "Usage: gridctl [OPTION]... COMMAND [ARGUMENT]...\n\n");
	for (int group = 0; group < GROUP_COUNT; group++) {
		for (size_t i = 0; i < COMMAND_COUNT; i++) {
			if (COMMANDS[i]->hidden || COMMANDS[i]->group != (enum command_group)group)
				continue;
			print_group(out, (enum command_group)group);
			break;
		}
	}
	(void)fprintf(out, "\n'gridctl --help' says what each does, 'gridctl help COMMAND' tells all of one.\n");
}

void help_print_command(FILE *out, const struct command *command)
{
	(void)fprintf(out, "Usage: gridctl %s%s%s\n%s.\n", command->name, *command->usage ? " " : "", command->usage,
		      command->purpose);
	if (*command->help)
		(void)fprintf(out, "\n%s", command->help);
	if (command->options) {
		(void)fprintf(out, "\nOptions:\n");
		print_options(out, command->options);
	}
	(void)fprintf(out, "\nOptions of every command:\n");
	print_options(out, &GLOBAL_OPTIONS);
	(void)fprintf(out, "\nExit status: %s", HELP_EXIT_STATUS);
}

void help_print_family(FILE *out, const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const char *name = COMMANDS[i]->name;
		if (!COMMANDS[i]->hidden && strncmp(name, word, len) == 0 && (name[len] == ' ' || name[len] == '\0'))
			print_row(out, COMMANDS[i]);
	}
}
