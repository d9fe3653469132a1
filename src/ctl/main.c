/* gridctl: reads the command line, finds the command in the table, gives it the frame, and ends with its exit status. */
#include "base/err.h"
#include "base/file.h"
#include "ctl/commands.h"
#include "ctl/ctl.h"
#include "ctl/help.h"
#include "ctl/shown.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int unknown(struct ctl *ctl, const char *const *words, size_t count)
{
	const char *nearest = commands_nearest(words, count);
	if (commands_is_family(words[0])) {
		if (count > 1)
			ctl_error(ctl, "unknown command '%s %s'; there are:", words[0], words[1]);
		else
			ctl_error(ctl, "'%s' needs one more word:", words[0]);
		help_print_family(stderr, words[0]);
		return CTL_USAGE;
	}
	if (nearest)
		return ctl_usage(ctl, NULL, "unknown command '%s'; did you mean 'gridctl %s'?", words[0], nearest);
	return ctl_usage(ctl, NULL, "unknown command '%s'", words[0]);
}

static int help(struct ctl *ctl, const char *const *words, size_t count)
{
	size_t taken;
	const struct command *command = commands_find(words, count, &taken);
	if (count == 0)
		help_print_all(stdout);
	else if (command)
		help_print_command(stdout, command);
	else if (commands_is_family(words[0]))
		help_print_family(stdout, words[0]);
	else
		return unknown(ctl, words, count);
	return ctl_flush(ctl);
}

static int check_operands(struct ctl *ctl, const struct command *command, const struct option_parse *parse)
{
	if (parse->operand_count < command->min_operands)
		return ctl_usage(ctl, command, "%s: something is missing", command->name);
	if (parse->operand_count > command->max_operands)
		return ctl_usage(ctl, command, "%s: unexpected argument '%.200s'", command->name, parse->operands[command->max_operands]);
	return CTL_OK;
}

static int prepare(struct ctl *ctl, const struct command *command)
{
	ctl->retry_for_ms = ctl->globals.retry_for_ms >= 0 ? ctl->globals.retry_for_ms
			    : command->retry_for_ms	   ? command->retry_for_ms
							   : RETRY_FOR_MS;
	if (command->offline)
		return CTL_OK;
	int exit_code = ctl_load(ctl, false);
	return exit_code ? exit_code : ctl_connect(ctl, false);
}

static int run_command(struct ctl *ctl, const struct command *command, struct option_parse *parse, const void *options)
{
	const struct command_call call = {
		.command = command, .options = options, .operands = parse->operands, .operand_count = parse->operand_count};
	if (ctl->globals.help) {
		help_print_command(stdout, command);
		return ctl_flush(ctl);
	}
	int exit_code = check_operands(ctl, command, parse);
	if (!exit_code)
		exit_code = prepare(ctl, command);
	if (!exit_code)
		exit_code = command->run(ctl, &call);
	int flushed = ctl_flush(ctl);
	return exit_code ? exit_code : flushed;
}

/* The words behind the command's name: its own options, the global ones, what remains. */
static int parse_and_run(struct ctl *ctl, const struct command *command, const char *const *words, size_t count)
{
	void *options = calloc(1, command->options_size + 1);
	struct err err = {0};
	struct option_parse parse = {.stop_at_operand = command->stop_at_operand};
	if (!options) {
		ctl_error(ctl, "out of memory");
		return CTL_FAILED;
	}
	if (command->defaults)
		memcpy(options, command->defaults, command->options_size);
	if (command->options)
		parse.targets[parse.target_count++] = (struct option_target){command->options, options};
	parse.targets[parse.target_count++] = (struct option_target){&GLOBAL_OPTIONS, &ctl->globals};
	int exit_code = options_parse(&parse, words, count, &err)
				? ctl_usage(ctl, command, "%s: %s", command->name, err.text)
				: run_command(ctl, command, &parse, options);
	for (size_t i = 0; command->options && i < command->options->count; i++) {
		if (command->options->rows[i].type == OPTION_TEXTS)
			options_free_texts((struct option_texts *)((char *)options + command->options->rows[i].offset));
	}
	options_done(&parse);
	free(options);
	return exit_code;
}

static int run_words(struct ctl *ctl, const char *const *words, size_t count)
{
	size_t taken = 0;
	if (ctl->globals.version) {
		printf("gridctl %s\n", PROJECT_VERSION);
		return ctl_flush(ctl);
	}
	if (count > 0 && strcmp(words[0], "help") == 0)
		return help(ctl, words + 1, count - 1);
	if (ctl->globals.help)
		return help(ctl, words, count);
	if (count == 0) {
		help_print_short(stdout);
		(void)ctl_flush(ctl);
		return CTL_USAGE;
	}
	const struct command *command = commands_find(words, count, &taken);
	return command ? parse_and_run(ctl, command, words + taken, count - taken) : unknown(ctl, words, count);
}

int main(int argc, char **argv)
{
	(void)signal(SIGPIPE, SIG_IGN);
	file_open_standard();
	shown_begin();
	struct ctl ctl = {.globals = CTL_GLOBALS_BEFORE};
	struct err err = {0};
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || ctl_open(&ctl))
		return CTL_FAILED;
	struct option_parse parse = {.targets = {{&GLOBAL_OPTIONS, &ctl.globals}}, .target_count = 1, .stop_at_operand = true};
	int exit_code = options_parse(&parse, (const char *const *)argv + 1, argc > 0 ? (size_t)argc - 1 : 0, &err)
				? ctl_usage(&ctl, NULL, "%s", err.text)
				: run_words(&ctl, parse.operands, parse.operand_count);
	options_done(&parse);
	ctl_close(&ctl);
	curl_global_cleanup();
	return exit_code;
}
