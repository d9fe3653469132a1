/* `gridctl results`: what a task has put out. Owns the command's course: pages to standard output, and, with --take, what was
 * written is removed at the hub. */
#include "base/base64.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "ctl/ctl.h"
#include "ctl/output.h"
#include "ctl/results_read.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

extern const struct command COMMAND_RESULTS;

enum { WAIT_S = 30, ROOM_BYTES = 1024 * 1024, CURSOR_FILE_MAX = 64 };

struct results_options {
	bool follow, take, nul;
	int64_t cursor;          /* -1: not said */
	int64_t max;
	const char *writer, *cursor_file;
};

struct results {
	struct ctl *ctl;
	const struct results_options *options;
	struct results_read *read;
	struct output *output;
	int64_t next;            /* all before were given to the output */
	int64_t left;            /* of --max; -1: no bound */
	bool ended;              /* no further page */
	bool over;               /* ended, and written, and taken */
	bool failed;
	struct err err;
};

static void stop(struct results *results, const struct err *err)
{
	if (!results->failed)
		results->err = *err;
	results->failed = results->ended = results->over = true;
}

/* ---- the cursor's file ---- */

static int read_cursor(const char *path, int64_t *cursor, struct err *err)
{
	struct buf text;
	char *end = NULL;
	buf_init(&text, CURSOR_FILE_MAX);
	int rc = file_read(path, &text, err);
	*cursor = 0;
	if (!rc) {
		errno = 0;
		*cursor = strtoll(buf_text(&text), &end, 10);
		if (end == buf_text(&text) || strspn(end, " \n") != strlen(end) || *cursor < 0 || errno)
			rc = err_set(err, ERR_INVALID, "%s is no file of --cursor-file: it must hold one number", path);
	}
	buf_done(&text);
	return rc == ERR_NOT_FOUND ? 0 : rc;
}

static int save_cursor(const struct results *results, struct err *err)
{
	char text[32];
	int len = snprintf(text, sizeof(text), "%lld\n", (long long)results->next);
	return results->options->cursor_file ? file_replace(results->options->cursor_file, text, (size_t)len, 0666, err) : 0;
}

/* ---- what was written ---- */

static void on_empty(void *context)
{
	struct results *results = context;
	struct err err = {0};
	if (save_cursor(results, &err)) {
		stop(results, &err);
		return;
	}
	if (results->options->take)
		results_read_take(results->read, results->next);
	if (!results->ended)
		results_read_more(results->read, results->options->follow);
	results->over = results->ended && results_read_is_taken(results->read);
}

static void on_output_failed(void *context, const struct err *err)
{
	stop(context, err);
}

/* ---- pages ---- */

static int write_json(struct results *results, int64_t number, const char *bytes, size_t len, struct err *err)
{
	AUTO_JSON json_t *result = json_stringn(bytes, len);
	struct buf coded;
	buf_init(&coded, SIZE_MAX / 2);
	if (!result || memchr(bytes, '\0', len)) {
		int rc = base64_encode(&coded, bytes, len);
		json_decref(result);
		result = rc ? NULL : json_pack("{s:s}", "base64", buf_text(&coded));
	}
	buf_done(&coded);
	AUTO_JSON json_t *object = json_pack("{s:I, s:O}", "number", (json_int_t)number, "result", result);
	AUTO_FREE char *line = object ? json_dumps(object, JSON_COMPACT) : NULL;
	int rc = line ? output_write(results->output, line, strlen(line), err) : err_set(err, ERR_NOMEM, "out of memory");
	return rc ? rc : output_write(results->output, "\n", 1, err);
}

static void on_result(void *context, int64_t number, const char *bytes, size_t len)
{
	struct results *results = context;
	struct err err = {0};
	if (results->ended)
		return;
	int rc;
	if (results->ctl->globals.json) {
		rc = write_json(results, number, bytes, len, &err);
	} else {
		rc = output_write(results->output, bytes, len, &err);
		bool has_end = !results->options->nul && len > 0 && bytes[len - 1] == '\n';
		if (!rc && !has_end)
			rc = output_write(results->output, results->options->nul ? "" : "\n", 1, &err);
	}
	if (rc)
		stop(results, &err);
	results->next = number + 1;
	if (results->left > 0 && --results->left == 0)
		results->ended = true;
}

static void on_page(void *context, const struct results_page *page)
{
	struct results *results = context;
	bool last = page->complete || (!results->options->follow && page->next >= page->total);
	results->ended = results->ended || last;
	if (!results->ended && page->next > results->next)
		results->next = page->next;
	if (output_pending(results->output) == 0)
		on_empty(results);
	else if (!results->ended && output_pending(results->output) < ROOM_BYTES)
		results_read_more(results->read, results->options->follow);
}

static void on_read_failed(void *context, const struct err *err)
{
	stop(context, err);
}

/* The hub's word that what was taken is gone has no callback of its own: a turn after each. */
static int wait_for_end(struct results *results)
{
	while (!results->over && !results->ctl->interrupted) {
		(void)uv_run(&results->ctl->loop, UV_RUN_ONCE);
		if (results->ended && !results->failed && output_pending(results->output) == 0)
			results->over = results_read_is_taken(results->read);
	}
	return results->failed ? ctl_fail(results->ctl, &results->err) : CTL_OK;
}

static int results_command(struct ctl *ctl, const struct command_call *call)
{
	const struct results_options *options = call->options;
	struct results results = {.ctl = ctl, .options = options, .left = options->max ? options->max : -1};
	struct err err = {0};
	int64_t cursor = options->cursor < 0 ? 0 : options->cursor;
	if (options->cursor >= 0 && options->cursor_file)
		return ctl_usage(ctl, call->command, "--cursor and --cursor-file: which?");
	if (options->cursor_file && read_cursor(options->cursor_file, &cursor, &err))
		return ctl_fail(ctl, &err);
	const struct results_read_options how = {.task = call->operands[0],
						 .cursor = cursor,
						 .writer_right = options->writer && strcmp(options->writer, "right") == 0,
						 .wait_s = WAIT_S,
						 .max = options->max && options->max < 1000 ? options->max : 0,
						 .context = &results,
						 .on_result = on_result,
						 .on_page = on_page,
						 .on_failed = on_read_failed};
	const struct output_events events = {.context = &results, .on_empty = on_empty, .on_failed = on_output_failed};
	results.next = cursor;
	if (options->follow && ctl->globals.retry_for_ms < 0)
		ctl->retry_for_ms = RETRY_FOR_EVER_MS;
	results.output = output_new(&ctl->loop, STDOUT_FILENO, &events, &err);
	results.read = results.output ? results_read_new(ctl, &how, &err) : NULL;
	int status;
	if (results.read) {
		results_read_more(results.read, options->follow);
		status = wait_for_end(&results);
	} else {
		status = ctl_fail(ctl, &err);
	}
	results_read_free(results.read);
	output_close(results.output);
	return status;
}

static const struct option_row ROWS[] = {
	{.name = "follow", .letter = 'f', .type = OPTION_FLAG, .offset = offsetof(struct results_options, follow),
	 .help = "wait for more, until the task has ended"},
	{.name = "take", .type = OPTION_FLAG, .offset = offsetof(struct results_options, take),
	 .help = "remove from the hub what has been written here"},
	{.name = "cursor", .type = OPTION_INTEGER, .offset = offsetof(struct results_options, cursor), .argument = "N",
	 .min = 0, .max = INT64_C(9007199254740991), .help = "begin with result number N; the oldest ever is 0"},
	{.name = "cursor-file", .type = OPTION_TEXT, .offset = offsetof(struct results_options, cursor_file), .argument = "FILE",
	 .hint = HINT_FILE, .help = "begin where the last call with this FILE ended, and note there where this one does"},
	{.name = "max", .letter = 'n', .type = OPTION_INTEGER, .offset = offsetof(struct results_options, max), .argument = "N",
	 .min = 1, .max = INT64_C(9007199254740991), .help = "at most N results"},
	{.name = "null", .letter = '0', .type = OPTION_FLAG, .offset = offsetof(struct results_options, nul),
	 .help = "end each result with NUL instead of a newline"},
	{.name = "writer", .type = OPTION_TEXT, .offset = offsetof(struct results_options, writer), .argument = "SIDE",
	 .choices = "left right", .help = "where the workers put their results: left (LPUSH, the default) or right (RPUSH)"},
};
static const struct option_table OPTIONS = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};
static const struct results_options DEFAULTS = {.cursor = -1};

const struct command COMMAND_RESULTS = {
	.name = "results",
	.group = GROUP_WORK,
	.usage = "TASK [OPTIONS]",
	.purpose = "Print the results of a task, the oldest first",
	.help = "Each result is printed with a newline, unless it ends with one (with -0: always with\n"
		"NUL). They stay at the hub, so that they can be read again, unless --take removes\n"
		"them once they are written. With --json each is an object with its number.",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(DEFAULTS),
	.min_operands = 1,
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = results_command,
};
