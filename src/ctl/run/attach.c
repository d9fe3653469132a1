/* `gridctl attach`: comes back to a run that was left, here or elsewhere. Owns what it finds of it: the task at the hub, and what the
 * run left on this machine. Then run_flow.c goes on. */
#include "ctl/run/run_parts.h"

#include "base/cleanup.h"
#include "ctl/show.h"

#include <stdlib.h>
#include <string.h>

extern const struct command COMMAND_ATTACH;

/* Words and groups that the state had as JSON. */
struct attach {
	struct run run;
	struct run_output_options output;
	const char **command;
	const char **words;          /* of all groups */
	struct item_group groups[9];
	size_t group_count;
	struct option_texts files;
	json_t *task;
};

/* ---- the output, as the run had it ---- */

static void restore_output(struct attach *attach, json_t *output)
{
	struct run_output_options *into = &attach->output;
	into->keep_order = into->keep_order || json_is_true(json_object_get(output, "keep_order"));
	into->tag = into->tag || json_is_true(json_object_get(output, "tag"));
	if (!into->results)
		into->results = json_string_value(json_object_get(output, "results"));
	if (!into->joblog)
		into->joblog = json_string_value(json_object_get(output, "joblog"));
	if (json_is_true(json_object_get(output, "json")))
		attach->run.ctl->globals.json = true;
	json_int_t layout = json_integer_value(json_object_get(output, "layout"));
	if (layout >= LAYOUT_SEQ && layout <= LAYOUT_NAMES)
		attach->run.layout = (enum result_layout)layout;
}

static int restore_command(struct attach *attach, json_t *words, struct err *err)
{
	json_t *word;
	size_t i;
	attach->command = calloc(json_array_size(words) + 1, sizeof(*attach->command));
	if (!attach->command)
		return err_set(err, ERR_NOMEM, "out of memory");
	json_array_foreach(words, i, word)
		attach->command[i] = json_string_value(word) ? json_string_value(word) : "";
	attach->run.command = attach->command;
	attach->run.command_len = json_array_size(words);
	return 0;
}

/* ---- the input ---- */

static int restore_groups(struct attach *attach, json_t *groups, struct item_source **source, struct err *err)
{
	size_t total = 0;
	size_t i;
	json_t *group;
	json_array_foreach(groups, i, group)
		total += json_array_size(group);
	attach->words = calloc(total + 1, sizeof(*attach->words));
	if (!attach->words)
		return err_set(err, ERR_NOMEM, "out of memory");
	const char **at = attach->words;
	json_array_foreach(groups, i, group) {
		if (attach->group_count == sizeof(attach->groups) / sizeof(attach->groups[0]))
			break;
		attach->groups[attach->group_count++] = (struct item_group){at, json_array_size(group)};
		for (size_t j = 0; j < json_array_size(group); j++) {
			const char *word = json_string_value(json_array_get(group, j));
			*at++ = word ? word : "";
		}
	}
	*source = item_product_new(attach->groups, attach->group_count, err);
	return *source ? 0 : (int)err->code;
}

static int open_files(struct attach *attach, const struct option_texts *files, bool nul, struct item_source **source, struct err *err)
{
	*source = item_stream_new(&attach->run.ctl->loop, files->items, files->count, nul ? ITEM_END_NUL : ITEM_END_NEWLINE);
	return *source ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int restore_files(struct attach *attach, json_t *files, bool nul, struct item_source **source, struct err *err)
{
	json_t *file;
	size_t i;
	attach->files.items = calloc(json_array_size(files) + 1, sizeof(*attach->files.items));
	if (!attach->files.items)
		return err_set(err, ERR_NOMEM, "out of memory");
	json_array_foreach(files, i, file) {
		if (json_is_string(file))
			attach->files.items[attach->files.count++] = json_string_value(file);
	}
	return open_files(attach, &attach->files, nul, source, err);
}

static int restore_input(struct attach *attach, const struct attach_options *options, struct item_source **source, struct err *err)
{
	json_t *input = json_object_get(attach->run.state.object, "input");
	bool nul = json_is_true(json_object_get(input, "nul"));
	json_t *groups = json_object_get(input, "groups");
	json_t *files = json_object_get(input, "files");
	const char *directory = json_string_value(json_object_get(input, "directory"));
	*source = NULL;
	if (options->files.count)
		return open_files(attach, &options->files, options->nul, source, err);
	if (groups)
		return restore_groups(attach, groups, source, err);
	if (files)
		return restore_files(attach, files, nul, source, err);
	if (!directory)
		return 0;
	*source = item_folder_new(directory, err);
	return *source ? 0 : (int)err->code;
}

static void on_ready(void *context)
{
	*(bool *)context = true;
}

/* The items that the hub has already are read, and passed over. */
static int pass_over(struct run *run, struct err *err)
{
	for (;;) {
		bool done = false;
		bool ready = false;
		item_source_listen(run->input.source, on_ready, &ready);
		int rc = run_input_skip(&run->input, run->pushed, &done, err);
		if (!rc && !done)
			rc = ctl_wait(run->ctl, &ready, err);
		if (rc || done)
			return rc;
	}
}

static int prepare_input(struct attach *attach, const struct attach_options *options, struct err *err)
{
	struct run *run = &attach->run;
	struct item_source *source = NULL;
	bool all_pushed = json_is_true(json_object_get(run->state.object, "pushed"));
	int rc = items_push_ask(run->ctl, run->name, run->push_id, &run->pushed, err);
	if (!rc && (!all_pushed || run->layout == LAYOUT_NAMES)) /* names of results are asked of the source */
		rc = restore_input(attach, options, &source, err);
	run_input_init(&run->input, source, &run->tracker);
	if (rc)
		return rc;
	if (source)
		return pass_over(run, err);
	if (!all_pushed && run->state.object)
		ctl_note(run->ctl, "%lld items were pushed; the rest of standard input, if there was one, cannot be pushed any more",
			 (long long)run->pushed);
	return 0;
}

/* ---- the task ---- */

static int look_at_task(struct attach *attach, struct err *err)
{
	struct run *run = &attach->run;
	AUTO_FREE char *path = hub_path("/api/tasks/", run->name, "");
	int rc = path ? hub_get(run->ctl, path, NULL, &attach->task, err) : err_set(err, ERR_NOMEM, "out of memory");
	if (rc)
		return rc;
	run_name_push(run, attach->task);
	if (strcmp(show_text(attach->task, "item_format"), "numbered") != 0 ||
	    strcmp(show_text(attach->task, "result_format"), "json") != 0)
		return err_set(err, ERR_INVALID,
			       "the task \"%s\" was not made by gridctl run: use gridctl watch, and gridctl results", run->name);
	return 0;
}

static int begin(struct attach *attach, const struct attach_options *options, struct err *err)
{
	struct run *run = &attach->run;
	int rc = look_at_task(attach, err);
	if (!rc)
		rc = run_state_load(&run->state, run->ctl->config.hub.value, run->name, err);
	if (rc)
		return rc;
	json_t *output = json_object_get(run->state.object, "output");
	json_t *command = json_object_get(output, "command");
	restore_output(attach, output);
	rc = restore_command(attach, command ? command : json_object_get(attach->task, "exec"), err);
	return rc ? rc : prepare_input(attach, options, err);
}

static void attach_free(struct attach *attach)
{
	run_done(&attach->run);
	json_decref(attach->task);
	free(attach->command);
	free(attach->words);
	free(attach->files.items);
	free(attach);
}

static int attach_command(struct ctl *ctl, const struct command_call *call)
{
	const struct attach_options *options = call->options;
	struct err err = {0};
	struct attach *attach = calloc(1, sizeof(*attach));
	if (!attach) {
		ctl_error(ctl, "out of memory");
		return CTL_FAILED;
	}
	attach->output = options->output;
	attach->run.ctl = ctl;
	attach->run.output = &attach->output;
	attach->run.name = call->operands[0];
	attach->run.attached = true;
	attach->run.joblog_fd = -1;
	attach->run.input.ended = true;
	int rc = begin(attach, options, &err);
	int status = rc ? ctl_fail(ctl, &err) : run_flow(&attach->run);
	attach_free(attach);
	return status;
}

static const struct attach_options DEFAULTS;

const struct command COMMAND_ATTACH = {
	.name = "attach",
	.group = GROUP_WORK,
	.usage = "NAME [OPTIONS]",
	.purpose = "Come back to a run that was left: its progress, and the results that are not yet read",
	.help = "On the machine and as the user of the run, what it was told (-k, --tag, --json,\n"
		"--results, --joblog) holds again, and what was left of an input that can be read\n"
		"again (a file, a directory, arguments) is pushed. Elsewhere the options here say\n"
		"how the results are put out. Results that a run has written are gone from the hub.\n"
		"\n"
		"Exit status: as of gridctl run.",
	.options = &ATTACH_OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(DEFAULTS),
	.min_operands = 1,
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = attach_command,
};
