/* Owns the hidden `gridctl man`: man pages in troff, of gridctl and of each command, made of the table of commands. Called through the
 * table by the build. */
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/help.h"

#include <stdio.h>
#include <string.h>

extern const struct command COMMAND_MAN;

/* The bytes of one character beyond ASCII, as troff's escape; groff by itself reads no UTF-8. */
static size_t print_wide(const char *text, size_t len)
{
	const unsigned char *bytes = (const unsigned char *)text;
	size_t more = bytes[0] >= 0xf0 ? 3 : bytes[0] >= 0xe0 ? 2 : 1;
	unsigned code = bytes[0] & (0x3fU >> more);
	for (size_t i = 1; i <= more && i < len; i++)
		code = code << 6 | (bytes[i] & 0x3fU);
	printf("\\[u%04X]", code);
	return more;
}

/* Text for troff: no line begins with a command of its, dashes can be copied, backslashes are seen. */
static void print_escaped(const char *text, size_t len)
{
	bool begin = true;
	for (size_t i = 0; i < len; i++) {
		if (begin && (text[i] == '.' || text[i] == '\''))
			printf("\\&");
		begin = text[i] == '\n';
		if (text[i] == '\\')
			printf("\\e");
		else if (text[i] == '-')
			printf("\\-");
		else if ((unsigned char)text[i] >= 0x80)
			i += print_wide(text + i, len - i);
		else
			(void)putchar(text[i]);
	}
}

static void print_text(const char *text)
{
	print_escaped(text, strlen(text));
}

/* Paragraphs are separated by empty lines; a line that begins with a space stands as it is. */
static void print_paragraphs(const char *text)
{
	bool literal = false;
	for (const char *line = text; *line;) {
		size_t len = strcspn(line, "\n");
		bool indented = *line == ' ';
		if (indented != literal)
			printf(indented ? ".PP\n.EX\n" : ".EE\n");
		literal = indented;
		if (len == 0) {
			printf(".PP\n");
		} else {
			print_escaped(line, len);
			(void)putchar('\n');
		}
		line += len + (line[len] == '\n');
	}
	if (literal)
		printf(".EE\n");
}

static void print_options(const struct option_table *table)
{
	for (size_t i = 0; i < table->count; i++) {
		const struct option_row *row = &table->rows[i];
		if (row->hidden)
			continue;
		printf(".TP\n");
		if (row->letter) {
			printf("\\fB\\-%c\\fR", row->letter);
			printf("%s", row->name ? ", " : "");
		}
		if (row->name) {
			printf("\\fB\\-\\-");
			print_text(row->name);
			printf("\\fR");
		}
		if (row->argument) {
			printf(" \\fI");
			print_text(row->argument);
			printf("\\fR");
		}
		printf("\n");
		print_text(row->help);
		printf("\n");
	}
}

/* "node stop" → "gridctl-node-stop" */
static void print_page_name(const char *command, const char *dash)
{
	printf("gridctl%s", dash);
	for (const char *at = command; *at; at++)
		printf("%s", *at == ' ' ? dash : *at == '-' ? dash : (const char[]){*at, '\0'});
}

static void print_head(const struct command *command)
{
	printf(".\\\" made by 'gridctl man'\n.TH \"");
	if (command)
		print_page_name(command->name, "\\-");
	else
		printf("gridctl");
	printf("\" \"1\" \"\" \"IDM\\-GridCore %s\" \"IDM\\-GridCore\"\n.nh\n.ad l\n.SH NAME\n", PROJECT_VERSION);
	if (command)
		print_page_name(command->name, "\\-");
	else
		printf("gridctl");
	printf(" \\- ");
}

static void print_exit_status(void)
{
	printf(".SH EXIT STATUS\n");
	print_text(HELP_EXIT_STATUS);
}

static void print_row(const struct command *command)
{
	printf(".TP\n\\fB");
	print_text(command->name);
	printf("\\fR ");
	print_text(command->usage);
	printf("\n");
	print_text(command->purpose);
	printf(". See \\fB");
	print_page_name(command->name, "\\-");
	printf("\\fR(1).\n");
}

static void print_whole(void)
{
	print_head(NULL);
	printf("the command line of IDM\\-GridCore\n.SH SYNOPSIS\n\\fBgridctl\\fR [\\fIOPTION\\fR]... \\fICOMMAND\\fR "
	       "[\\fIARGUMENT\\fR]...\n.SH DESCRIPTION\nGives work to a hub, watches it, and brings its results. Whatever it does goes over "
	       "the hub's HTTP interface.\n.SH COMMANDS\n");
	for (int group = 0; group < GROUP_COUNT; group++) {
		bool begun = false;
		for (size_t i = 0; i < COMMAND_COUNT; i++) {
			if (COMMANDS[i]->hidden || COMMANDS[i]->group != (enum command_group)group)
				continue;
			if (!begun)
				printf(".SS %s\n", command_group_title((enum command_group)group));
			begun = true;
			print_row(COMMANDS[i]);
		}
	}
	printf(".SH OPTIONS\n");
	print_options(&GLOBAL_OPTIONS);
	printf(".SH CONFIGURATION\n");
	print_text(HELP_CONFIGURATION);
	for (size_t i = 0; i < CTL_CONFIG_TABLE.count; i++) {
		printf(".TP\n\\fB");
		print_text(CTL_CONFIG_TABLE.keys[i].name);
		printf("\\fR\n");
		print_text(CTL_CONFIG_TABLE.keys[i].help);
		printf("\n");
	}
	print_exit_status();
	printf(".SH SEE ALSO\n\\fBcomputehub\\fR(8), \\fBgridnode\\fR(8), \\fBgridexec\\fR(1)\n");
}

static void print_command(const struct command *command)
{
	print_head(command);
	print_text(command->purpose);
	printf("\n.SH SYNOPSIS\n\\fBgridctl ");
	print_text(command->name);
	printf("\\fR ");
	print_text(command->usage);
	printf("\n");
	if (*command->help) {
		printf(".SH DESCRIPTION\n");
		print_paragraphs(command->help);
	}
	printf(".SH OPTIONS\n");
	if (command->options)
		print_options(command->options);
	printf(".SS Of every command\n");
	print_options(&GLOBAL_OPTIONS);
	print_exit_status();
	printf(".SH SEE ALSO\n\\fBgridctl\\fR(1)\n");
}

static int run_man(struct ctl *ctl, const struct command_call *call)
{
	size_t taken;
	if (call->operand_count == 0) {
		print_whole();
		return CTL_OK;
	}
	const struct command *command = commands_find(call->operands, call->operand_count, &taken);
	if (!command || taken != call->operand_count)
		return ctl_usage(ctl, call->command, "man: no such command: '%.64s'", call->operands[0]);
	print_command(command);
	return CTL_OK;
}

const struct command COMMAND_MAN = {
	.name = "man",
	.group = GROUP_SETUP,
	.usage = "[COMMAND]",
	.purpose = "Print the man page of gridctl, or of one command, in troff",
	.help = "",
	.max_operands = 2,
	.hidden = true,
	.offline = true,
	.run = run_man,
};
