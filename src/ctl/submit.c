/* `gridctl submit`: registers a task, from a file or from options. Called through the table; pushes nothing. */
#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/show.h"
#include "ctl/task_options.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

extern const struct command COMMAND_SUBMIT;

enum { TASK_MAX_BYTES = 256 * 1024 };

struct submit_options {
	struct task_options task; /* first: its rows are in the table */
	const char *file;
	const char *input_queue, *output_queue, *pop, *result_format;
	bool auto_finish;
};

static int read_file_or_input(const char *path, struct buf *text, struct err *err)
{
	char chunk[16 * 1024];
	ssize_t len;
	if (strcmp(path, "-") != 0)
		return file_read(path, text, err);
	while ((len = read(STDIN_FILENO, chunk, sizeof(chunk))) != 0) {
		if (len < 0 && errno == EINTR)
			continue;
		if (len < 0)
			return err_from_errno(err, errno, "standard input");
		if (buf_add(text, chunk, (size_t)len))
			return err_set(err, ERR_TOO_BIG, "standard input: a task has at most %d KiB", TASK_MAX_BYTES / 1024);
	}
	return 0;
}

static int task_of_file(const char *path, json_t **task, struct err *err)
{
	struct buf text;
	buf_init(&text, TASK_MAX_BYTES);
	int rc = read_file_or_input(path, &text, err);
	if (!rc) {
		rc = json_parse_object(buf_text(&text), text.len, task, err);
		if (rc)
			rc = err_wrap(err, "%s", path);
	}
	buf_done(&text);
	return rc;
}

static int set_text(json_t *task, const char *field, const char *value, struct err *err)
{
	return value && json_object_set_new(task, field, json_string(value)) ? err_set(err, ERR_INVALID, "%s: no text", field) : 0;
}

static int task_of_options(const struct submit_options *options, const struct command_call *call, json_t **into, struct err *err)
{
	struct task_options named = options->task;
	char drawn[129];
	if (!named.name) {
		task_options_draw_name(call->operand_count ? call->operands[0] : "task", drawn, sizeof(drawn));
		named.name = drawn;
	}
	AUTO_JSON json_t *task = task_options_to_json(&named, call->operands, call->operand_count, err);
	int rc = task ? set_text(task, "input_queue", options->input_queue, err) : (int)err->code;
	if (!rc)
		rc = set_text(task, "output_queue", options->output_queue, err);
	if (!rc)
		rc = set_text(task, "pop", options->pop, err);
	if (!rc)
		rc = set_text(task, "result_format", options->result_format, err);
	if (!rc && options->auto_finish && json_object_set_new(task, "auto_finish", json_true()))
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (!rc)
		*into = steal(task);
	return rc;
}

static int submit_command(struct ctl *ctl, const struct command_call *call)
{
	const struct submit_options *options = call->options;
	struct err err = {0};
	json_t *task = NULL;
	AUTO_JSON json_t *answer = NULL;
	if (options->file && call->operand_count)
		return ctl_usage(ctl, call->command, "--file says what the task is: no command behind it");
	int rc = options->file ? task_of_file(options->file, &task, &err) : task_of_options(options, call, &task, &err);
	if (!rc)
		rc = hub_post(ctl, "/api/tasks", task, NULL, &answer, &err);
	if (rc)
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	printf("%s\n", show_text(answer, "name"));
	ctl_note(ctl, "%s is registered, and %s", show_text(answer, "name"),
		 strcmp(show_text(answer, "status"), "running") == 0 ? "runs" : "waits for its turn");
	return CTL_OK;
}

static const struct option_row ROWS[] = {
	TASK_OPTION_ROWS,
	{.name = "file", .type = OPTION_TEXT, .offset = offsetof(struct submit_options, file), .argument = "FILE", .hint = HINT_FILE,
	 .help = "the task as JSON, as POST /api/tasks takes it; - is standard input"},
	{.name = "input-queue", .type = OPTION_TEXT, .offset = offsetof(struct submit_options, input_queue), .argument = "KEY",
	 .help = "the list of its items (default NAME:in)"},
	{.name = "output-queue", .type = OPTION_TEXT, .offset = offsetof(struct submit_options, output_queue), .argument = "KEY",
	 .help = "the list of its results (default NAME:out)"},
	{.name = "pop", .type = OPTION_TEXT, .offset = offsetof(struct submit_options, pop), .argument = "SIDE", .choices = "right left",
	 .help = "the side of the list that items are taken from (default right)"},
	{.name = "result-format", .type = OPTION_TEXT, .offset = offsetof(struct submit_options, result_format), .argument = "FORMAT",
	 .choices = "plain tag json", .help = "what a result is: the output as it is, behind its item, or JSON with all of it"},
	{.name = "auto-finish", .type = OPTION_FLAG, .offset = offsetof(struct submit_options, auto_finish),
	 .help = "end the task by itself when nothing is left of it"},
};
static const struct option_table OPTIONS = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};
static const struct submit_options DEFAULTS = {.task = TASK_OPTIONS_BEFORE};

const struct command COMMAND_SUBMIT = {
	.name = "submit",
	.group = GROUP_WORK,
	.usage = "[--file FILE | OPTIONS] [-- COMMAND…]",
	.purpose = "Register a task, and print its name",
	.help = "With a COMMAND its items are computed as gridctl run does it; without one the image\n"
		"is a worker that speaks to its queues itself. The items come by gridctl push, the\n"
		"results go by gridctl results, and gridctl finish ends it.",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(DEFAULTS),
	.min_operands = 0,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_COMMAND,
	.stop_at_operand = true,
	.run = submit_command,
};
