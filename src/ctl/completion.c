/* Owns `gridctl completion`: scripts for bash and zsh, made of the table of commands. Called through the table, and by the
 * installation; a new command or option is completed without a line here. */
#include "ctl/commands.h"
#include "ctl/ctl.h"

#include <stdio.h>
#include <string.h>

extern const struct command COMMAND_COMPLETION;

/* Calls `each` for every option of every command, the global ones first. */
static void for_each_option(void (*each)(const struct option_row *row, void *context), void *context)
{
	for (size_t i = 0; i < GLOBAL_OPTIONS.count; i++)
		each(&GLOBAL_OPTIONS.rows[i], context);
	for (size_t c = 0; c < COMMAND_COUNT; c++) {
		const struct option_table *table = COMMANDS[c]->options;
		for (size_t i = 0; table && i < table->count; i++)
			each(&table->rows[i], context);
	}
}

static void print_name(const struct option_row *row, const char *between)
{
	if (row->name)
		printf("--%s", row->name);
	if (row->name && row->letter)
		printf("%s", between);
	if (row->letter)
		printf("-%c", row->letter);
}

struct printing {
	bool begun;
	enum option_hint hint;
};

static void print_if_valued(const struct option_row *row, void *context)
{
	struct printing *printing = context;
	if (row->type == OPTION_FLAG)
		return;
	printf("%s", printing->begun ? "|" : "");
	print_name(row, "|");
	printing->begun = true;
}

/* A branch of `case $prev`: what stands behind these options. */
static void print_if_hinted(const struct option_row *row, void *context)
{
	struct printing *printing = context;
	if (row->type == OPTION_FLAG || row->choices || row->hint != printing->hint)
		return;
	printf("%s", printing->begun ? "|" : "\t");
	print_name(row, "|");
	printing->begun = true;
}

static void print_choices(const struct option_row *row, void *context)
{
	if (!row->choices)
		return;
	printf("\t");
	print_name(row, "|");
	printf(") %s \"%s\"; return ;;\n", (const char *)context, row->choices);
}

static void print_branch(enum option_hint hint, const char *action)
{
	struct printing printing = {.hint = hint};
	for_each_option(print_if_hinted, &printing);
	if (printing.begun)
		printf(") %s; return ;;\n", action);
}

/* ---- what can stand where ---- */

static void print_option_words(const struct option_table *table)
{
	for (size_t i = 0; table && i < table->count; i++) {
		if (table->rows[i].name && !table->rows[i].hidden)
			printf(" --%s", table->rows[i].name);
	}
}

static bool is_first_of_its_word(size_t command)
{
	size_t len = strcspn(COMMANDS[command]->name, " ");
	for (size_t i = 0; i < command; i++) {
		if (!COMMANDS[i]->hidden && strncmp(COMMANDS[i]->name, COMMANDS[command]->name, len) == 0 &&
		    (COMMANDS[i]->name[len] == ' ' || COMMANDS[i]->name[len] == '\0'))
			return false;
	}
	return true;
}

static void print_first_words(void)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (!COMMANDS[i]->hidden && is_first_of_its_word(i))
			printf(" %.*s", (int)strcspn(COMMANDS[i]->name, " "), COMMANDS[i]->name);
	}
	printf(" help");
}

static void print_second_words(const char *first, size_t len)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const char *name = COMMANDS[i]->name;
		if (!COMMANDS[i]->hidden && strncmp(name, first, len) == 0 && name[len] == ' ')
			printf(" %s", name + len + 1);
	}
}

static const char *source_of(enum option_hint hint)
{
	return hint == HINT_TASK ? "tasks" : hint == HINT_NODE ? "nodes" : hint == HINT_FILE ? "files" : hint == HINT_COMMAND ? "programs" : "";
}

/* The branches of `case "$first $second"`: those of two words before those of one. */
static void print_commands(void)
{
	for (int two = 1; two >= 0; two--) {
		for (size_t i = 0; i < COMMAND_COUNT; i++) {
			const struct command *command = COMMANDS[i];
			bool has_two = strchr(command->name, ' ') != NULL;
			if (command->hidden || has_two != (two == 1))
				continue;
			printf("\t\"%s%s\"*) names=\"%s\"; list=\"", command->name, has_two ? "" : " ", source_of(command->operand_hint));
			print_option_words(command->options);
			if (command->words)
				printf(" %s", command->words);
			if (!has_two)
				print_second_words(command->name, strlen(command->name));
			printf("\" ;;\n");
		}
	}
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		size_t len = strcspn(COMMANDS[i]->name, " ");
		if (COMMANDS[i]->hidden || COMMANDS[i]->name[len] == '\0' || !is_first_of_its_word(i))
			continue;
		printf("\t\"%.*s \"*) list=\"", (int)len, COMMANDS[i]->name);
		print_second_words(COMMANDS[i]->name, len);
		printf("\" ;;\n");
	}
}

static void print_valued(void)
{
	struct printing printing = {0};
	printf("\t\t");
	for_each_option(print_if_valued, &printing);
	printf(") skip=1 ;;\n");
}

/* Finds the command's words among what stands before the cursor; `words`, `end` and where to begin are the shell's. */
static void print_search(const char *words, const char *from, const char *end)
{
	printf("\tfor ((i = %s; i < %s; i++)); do\n"
	       "\t\tword=${%s[i]}\n"
	       "\t\tif ((skip)); then skip=0; continue; fi\n"
	       "\t\tcase $word in\n",
	       from, end, words);
	print_valued();
	printf("\t\t-*) ;;\n"
	       "\t\t*) if [[ -z $first ]]; then first=$word; elif [[ -z $second ]]; then second=$word; fi ;;\n"
	       "\t\tesac\n"
	       "\tdone\n");
}

static void print_case(void)
{
	printf("\tcase \"$first $second\" in\n\t\" \") list=\"");
	print_first_words();
	printf("\" ;;\n\t\"help \") list=\"");
	print_first_words();
	printf("\" ;;\n");
	print_commands();
	printf("\tesac\n");
}

static void print_global_list(void)
{
	printf("\tlist=\"$list");
	print_option_words(&GLOBAL_OPTIONS);
	printf("\"\n");
}

/* ---- the shells ---- */

static void print_bash(void)
{
	char choices[] = "_gridctl_words";
	printf("# bash completion for gridctl %s; made by 'gridctl completion bash'\n"
	       "_gridctl_words()\n{\n\tmapfile -t COMPREPLY < <(compgen -W \"$1\" -- \"$cur\")\n}\n\n"
	       "_gridctl_names()\n{\n"
	       "\tlocal name\n"
	       "\twhile IFS= read -r name; do\n"
	       "\t\tif [[ $name == \"$cur\"* ]]; then COMPREPLY+=(\"$(printf '%%q' \"$name\")\"); fi\n"
	       "\tdone < <(gridctl complete-names \"$1\" 2>/dev/null)\n}\n\n"
	       "_gridctl()\n{\n"
	       "\tlocal cur prev word first=\"\" second=\"\" list=\"\" names=\"\" i skip=0\n"
	       "\tcur=${COMP_WORDS[COMP_CWORD]}\n"
	       "\tprev=${COMP_WORDS[COMP_CWORD - 1]}\n"
	       "\tCOMPREPLY=()\n",
	       PROJECT_VERSION);
	print_search("COMP_WORDS", "1", "COMP_CWORD");
	printf("\tcase $prev in\n");
	for_each_option(print_choices, choices);
	print_branch(HINT_FILE, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")");
	print_branch(HINT_DIRECTORY, "compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- \"$cur\")");
	print_branch(HINT_TASK, "_gridctl_names tasks");
	print_branch(HINT_NODE, "_gridctl_names nodes");
	print_branch(HINT_NONE, "true");
	printf("\tesac\n");
	print_case();
	printf("\tif [[ $cur == -* || -z $names ]]; then\n\t");
	print_global_list();
	printf("\t\t_gridctl_words \"$list\"\n"
	       "\telif [[ $names == files ]]; then\n"
	       "\t\tcompopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n"
	       "\telif [[ $names == programs ]]; then\n"
	       "\t\tmapfile -t COMPREPLY < <(compgen -c -- \"$cur\")\n"
	       "\telse\n"
	       "\t\t_gridctl_names \"$names\"\n"
	       "\tfi\n}\n\ncomplete -F _gridctl gridctl\n");
}

static void print_zsh(void)
{
	char words[] = "_gridctl_words";
	printf("#compdef gridctl\n# zsh completion for gridctl %s; made by 'gridctl completion zsh'\n"
	       "_gridctl_words() { compadd -- ${=1} }\n\n"
	       "_gridctl_names() {\n"
	       "\tlocal -a found\n"
	       "\tfound=(${(f)\"$(gridctl complete-names $1 2>/dev/null)\"})\n"
	       "\tcompadd -- $found\n}\n\n"
	       "_gridctl() {\n"
	       "\tlocal cur prev word first=\"\" second=\"\" list=\"\" names=\"\" i skip=0\n"
	       "\tcur=$words[CURRENT]\n"
	       "\tprev=$words[CURRENT-1]\n",
	       PROJECT_VERSION);
	print_search("words", "2", "CURRENT");
	printf("\tcase $prev in\n");
	for_each_option(print_choices, words);
	print_branch(HINT_FILE, "_files");
	print_branch(HINT_DIRECTORY, "_files -/");
	print_branch(HINT_TASK, "_gridctl_names tasks");
	print_branch(HINT_NODE, "_gridctl_names nodes");
	print_branch(HINT_NONE, "true");
	printf("\tesac\n");
	print_case();
	printf("\tif [[ $cur == -* || -z $names ]]; then\n\t");
	print_global_list();
	printf("\t\t_gridctl_words \"$list\"\n"
	       "\telif [[ $names == files ]]; then\n"
	       "\t\t_files\n"
	       "\telif [[ $names == programs ]]; then\n"
	       "\t\t_command_names -e\n"
	       "\telse\n"
	       "\t\t_gridctl_names $names\n"
	       "\tfi\n}\n\n"
	       "if [[ $funcstack[1] == _gridctl ]]; then _gridctl \"$@\"; else compdef _gridctl gridctl; fi\n");
}

static int run_completion(struct ctl *ctl, const struct command_call *call)
{
	const char *shell = call->operands[0];
	if (strcmp(shell, "bash") == 0)
		print_bash();
	else if (strcmp(shell, "zsh") == 0)
		print_zsh();
	else
		return ctl_usage(ctl, call->command, "completion: no such shell here: '%.64s'; there are bash and zsh", shell);
	return CTL_OK;
}

const struct command COMMAND_COMPLETION = {
	.name = "completion",
	.group = GROUP_SETUP,
	.usage = "bash|zsh",
	.purpose = "Print a script that completes gridctl's command lines",
	.help = "For this shell: 'source <(gridctl completion bash)'. For all of them the installation\n"
		"puts it where bash and zsh look. Names of tasks and nodes are asked of the hub.\n",
	.min_operands = 1,
	.max_operands = 1,
	.words = "bash zsh",
	.offline = true,
	.run = run_completion,
};
