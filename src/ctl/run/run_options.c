/* Owns the options of run and attach and what fits together among them. Called by both before anything begins; asks no hub. */
#include "ctl/run/run_options.h"

#include "ctl/run/placeholders.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define OUTPUT_ROWS(type_of) \
	{.name = "keep-order", .letter = 'k', .type = OPTION_FLAG, .offset = offsetof(type_of, output.keep_order), \
	 .help = "results in the order of the items, not as they come"}, \
	{.name = "tag", .type = OPTION_FLAG, .offset = offsetof(type_of, output.tag), \
	 .help = "put the item and a tab before every line of its result"}, \
	{.name = "results", .type = OPTION_TEXT, .offset = offsetof(type_of, output.results), .argument = "DIR", \
	 .hint = HINT_DIRECTORY, .help = "write each result into files below DIR as well"}, \
	{.name = "joblog", .type = OPTION_TEXT, .offset = offsetof(type_of, output.joblog), .argument = "FILE", .hint = HINT_FILE, \
	 .help = "a line for each item that has ended, in GNU parallel's columns"}, \
	{.name = "bar", .type = OPTION_FLAG, .offset = offsetof(type_of, output.bar), \
	 .help = "show the progress also with -q, and more often where it is no terminal"}, \
	{.name = "no-finish", .type = OPTION_FLAG, .offset = offsetof(type_of, output.no_finish), \
	 .help = "leave the task running at the end, so that dead letters can be retried in it"}

static const struct option_row RUN_ROWS[] = {
	TASK_OPTION_ROWS,
	{.name = "arg-file", .letter = 'a', .type = OPTION_TEXTS, .offset = offsetof(struct run_options, files), .argument = "FILE",
	 .hint = HINT_FILE, .help = "the items are the lines of FILE, not of standard input"},
	{.name = "null", .letter = '0', .type = OPTION_FLAG, .offset = offsetof(struct run_options, nul),
	 .help = "items end with NUL instead of a newline"},
	{.name = "dir", .type = OPTION_TEXT, .offset = offsetof(struct run_options, directory), .argument = "DIR",
	 .hint = HINT_DIRECTORY,
	 .help = "every file below DIR is an item: its content is the command's standard input, and\nwith --results the result is a file of the same name"},
	OUTPUT_ROWS(struct run_options),
	{.name = "resume", .type = OPTION_FLAG, .offset = offsetof(struct run_options, resume),
	 .help = "pass over the items that are in the --joblog already"},
	{.name = "resume-failed", .type = OPTION_FLAG, .offset = offsetof(struct run_options, resume_failed),
	 .help = "the same, but run again those that failed"},
	{.name = "halt", .type = OPTION_TEXT, .offset = offsetof(struct run_options, halt), .argument = "WHEN",
	 .help = "never, or soon,fail=N or now,fail=N: give up after N items failed; also fail=10%,\nsuccess=N, done=N. soon: what runs may end"},
	{.name = "dry-run", .type = OPTION_FLAG, .offset = offsetof(struct run_options, dry_run),
	 .help = "print the commands as they would run, and run none"},
};
const struct option_table RUN_OPTIONS = {RUN_ROWS, sizeof(RUN_ROWS) / sizeof(RUN_ROWS[0])};

static const struct option_row ATTACH_ROWS[] = {
	OUTPUT_ROWS(struct attach_options),
	{.name = "arg-file", .letter = 'a', .type = OPTION_TEXTS, .offset = offsetof(struct attach_options, files),
	 .argument = "FILE", .hint = HINT_FILE, .help = "push the rest of the items from FILE, as the run would have"},
	{.name = "null", .letter = '0', .type = OPTION_FLAG, .offset = offsetof(struct attach_options, nul),
	 .help = "items of FILE end with NUL instead of a newline"},
};
const struct option_table ATTACH_OPTIONS = {ATTACH_ROWS, sizeof(ATTACH_ROWS) / sizeof(ATTACH_ROWS[0])};

/* ---- words ---- */

int run_words_split(struct run_words *words, const char *const *operands, size_t count, struct err *err)
{
	*words = (struct run_words){.command = operands};
	while (words->command_len < count && strcmp(operands[words->command_len], ":::") != 0)
		words->command_len++;
	if (words->command_len == 0)
		return err_set(err, ERR_INVALID, "a command is missing: gridctl run [options] -- COMMAND");
	for (size_t i = words->command_len; i < count; i++) {
		if (strcmp(operands[i], ":::") != 0) {
			words->groups[words->group_count - 1].count++;
			continue;
		}
		struct item_group *groups = realloc(words->groups, (words->group_count + 1) * sizeof(*groups));
		if (!groups)
			return err_set(err, ERR_NOMEM, "out of memory");
		words->groups = groups;
		groups[words->group_count++] = (struct item_group){.arguments = operands + i + 1};
	}
	return 0;
}

bool run_words_have_placeholder(const struct run_words *words)
{
	for (size_t i = 0; i < words->command_len; i++) {
		if (placeholders_of_item(words->command[i]))
			return true;
	}
	return false;
}

int run_words_append(struct run_words *words, struct err *err)
{
	static const char *const COLUMNS[] = {"{1}", "{2}", "{3}", "{4}", "{5}", "{6}", "{7}", "{8}", "{9}"};
	size_t columns = words->group_count;
	if (columns == 0 || run_words_have_placeholder(words))
		return 0;
	if (columns > sizeof(COLUMNS) / sizeof(COLUMNS[0]))
		return err_set(err, ERR_INVALID, "more than 9 times \":::\"");
	const char **command = calloc(words->command_len + columns, sizeof(*command));
	if (!command)
		return err_set(err, ERR_NOMEM, "out of memory");
	memcpy(command, words->command, words->command_len * sizeof(*command));
	for (size_t i = 0; i < columns; i++)
		command[words->command_len++] = columns == 1 ? "{}" : COLUMNS[i];
	words->appended = command;
	words->command = command;
	return 0;
}

void run_words_done(struct run_words *words)
{
	free(words->groups);
	free(words->appended);
	*words = (struct run_words){0};
}

/* ---- what fits together ---- */

static int check_input(const struct run_options *options, const struct run_words *words, struct err *err)
{
	int inputs = (options->files.count > 0) + (options->directory != NULL) + (words->group_count > 0);
	if (inputs > 1)
		return err_set(err, ERR_INVALID, "-a, --dir and ::: each say where the items come from: one of them");
	if (options->directory && run_words_have_placeholder(words))
		return err_set(err, ERR_INVALID,
			       "with --dir an item is a file's content and comes on standard input: the command can have no "
			       "{} for it ({#} is its number)");
	if (options->directory && options->nul)
		return err_set(err, ERR_INVALID, "--dir has no use for -0: every file is one item, whatever is in it");
	return 0;
}

static int check_batch(const struct run_options *options, const struct run_words *words, struct err *err)
{
	if (options->task.batch <= 1)
		return 0;
	for (size_t i = 0; i < words->command_len; i++) {
		if (placeholders_of_item(words->command[i]) || placeholders_of_number(words->command[i]))
			return err_set(err, ERR_INVALID, "--batch gives several items at once, on standard input: no place for \"%.100s\"",
				       words->command[i]);
	}
	if (options->output.tag)
		return err_set(err, ERR_INVALID, "--tag cannot tell which lines of a batch belong to which item: without --batch");
	if (options->directory)
		return err_set(err, ERR_INVALID, "--dir gives each file to a command of its own: without --batch");
	return 0;
}

int run_options_check(const struct run_options *options, bool json, const struct run_words *words, struct err *err)
{
	int rc = check_input(options, words, err);
	if (!rc)
		rc = check_batch(options, words, err);
	if (!rc && (options->resume || options->resume_failed) && !options->output.joblog)
		rc = err_set(err, ERR_INVALID, "--resume needs --joblog FILE, which says what is done");
	if (!rc && json && options->output.tag)
		rc = err_set(err, ERR_INVALID, "--tag and --json: which?");
	return rc;
}
