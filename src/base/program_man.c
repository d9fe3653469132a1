/* Owns the form of a daemon's man page. Called by program.c for --man, which the build uses; what stands in it comes from the tables
 * that --help prints. */
#include "base/program.h"

#include <stdio.h>
#include <string.h>

/* Text for troff: no line begins with a command of its, dashes can be copied, backslashes are seen. */
static void print_text(const char *text)
{
	bool begin = true;
	for (; *text; text++) {
		if (begin && (*text == '.' || *text == '\''))
			printf("\\&");
		begin = *text == '\n';
		if (*text == '\\')
			printf("\\e");
		else if (*text == '-')
			printf("\\-");
		else
			(void)putchar(*text);
	}
}

static void print_option(const char *option, const char *help)
{
	printf(".TP\n\\fB");
	print_text(option);
	printf("\\fR\n");
	print_text(help);
	printf("\n");
}

static void print_key(const struct config_key *key)
{
	printf(".TP\n\\fB");
	print_text(key->name);
	printf("\\fR");
	if (key->required) {
		printf(" (required)");
	} else if (key->fallback) {
		printf(" = ");
		print_text(key->fallback);
	}
	if (key->unit)
		printf(" (%s)", key->unit);
	printf("\n");
	if (key->help)
		print_text(key->help);
	printf("\n");
	if (key->environment)
		printf("Or in \\fB$%s\\fR.\n", key->environment);
}

static void print_places(const char *file)
{
	printf(".SH FILES\n");
	print_text("The first of: the file of --config, $IDM_GRIDCORE_CONFIG, /etc/idm-gridcore/");
	print_text(file);
	printf(", ");
	print_text("${XDG_CONFIG_HOME:-~/.config}/idm-gridcore/");
	print_text(file);
	printf(". Where there is none, a commented one is written. Its keys, with their defaults:\n");
}

void program_print_man(const struct program *program)
{
	const struct config_table *config = program->config;
	printf(".\\\" made by '%s --man'\n.TH \"%s\" \"8\" \"\" \"IDM\\-GridCore %s\" \"IDM\\-GridCore\"\n.nh\n.ad l\n.SH NAME\n%s \\- ",
	       program->name, program->name, PROJECT_VERSION, program->name);
	print_text(program->purpose);
	printf("\n.SH SYNOPSIS\n\\fB%s\\fR [\\fIOPTION\\fR]...\n.SH OPTIONS\n", program->name);
	print_option("-c FILE, --config FILE", "read this configuration file");
	print_option("--check-config", "check the configuration, say what is wrong with it, and end");
	print_option("--log-level LEVEL", "error, warn, info or debug");
	if (program->more_options) {
		printf(".PP\n.nf\n");
		print_text(program->more_options);
		printf(".fi\n");
	}
	print_option("--version", "print the version and end");
	print_option("-h, --help", "print a help and end");
	print_places(config->file_name);
	for (size_t i = 0; i < config->count; i++)
		print_key(&config->keys[i]);
	printf(".SH EXIT STATUS\n0 ended in order, 1 failed, 2 wrong command line, 78 wrong or incomplete configuration.\n"
	       ".SH SEE ALSO\n\\fBgridctl\\fR(1), \\fBgridexec\\fR(1), \\fBcomputehub\\fR(8), \\fBgridnode\\fR(8)\n");
}
