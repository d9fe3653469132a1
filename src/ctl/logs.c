/* Owns `gridctl logs TASK`: the last failures of a task's items, with what their workers wrote last. Called through the table; what
 * it follows lies in the hub's memory, a hundred failures to a task. */
#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/moments.h"
#include "ctl/show.h"
#include "ctl/shown.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

extern const struct command COMMAND_LOGS;

enum { FAILURES_MAX = 100, LAST_DEFAULT = 20, FOLLOW_MS = 1000, ITEM_MAX_BYTES = 2048, LOG_MAX_BYTES = 64 * 1024 };

struct logs_options {
	int64_t last;
	bool follow;
	bool brief;
};

/* What was printed already: the time of the last one, and how many of that very time. */
struct place {
	int64_t at_ms;
	size_t count;
};

/* ---- one failure ---- */

static void print_item(json_t *failure)
{
	struct buf text;
	const char *item = show_text(failure, "item");
	bool binary = json_is_string(json_object_get(failure, "item_base64"));
	bool cut = show_integer(failure, "item_bytes") > (int64_t)json_string_length(json_object_get(failure, "item"));
	buf_init(&text, ITEM_MAX_BYTES);
	shown_add(&text, binary ? show_text(failure, "item_base64") : item, 0);
	printf("  item: %s%s%s\n", binary ? "(base64) " : "", buf_text(&text), cut && !binary ? "\xe2\x80\xa6" : "");
	buf_done(&text);
}

static void print_head(const struct ctl *ctl, json_t *failure)
{
	char when[MOMENT_TEXT_SIZE];
	struct buf line;
	bool dead = json_is_true(json_object_get(failure, "dead"));
	const char *host = *show_text(failure, "hostname") ? show_text(failure, "hostname") : show_text(failure, "node");
	buf_init(&line, ITEM_MAX_BYTES);
	moment_local(show_integer(failure, "at_ms"), when);
	shown_add(&line, *host ? host : "?", 0);
	shown_add(&line, ": ", 0);
	shown_add(&line, *show_text(failure, "reason") ? show_text(failure, "reason") : "failed", 0);
	printf("%s  %s%s%s (attempt %lld%s)\n", when, table_style_on(&ctl->out, STYLE_BAD), buf_text(&line),
	       table_style_off(&ctl->out, STYLE_BAD), (long long)show_integer(failure, "attempts"), dead ? ", now a dead letter" : "");
	buf_done(&line);
}

static void print_failure(const struct ctl *ctl, json_t *failure, const struct logs_options *options)
{
	struct buf tail;
	print_head(ctl, failure);
	print_item(failure);
	if (options->brief || !*show_text(failure, "log_tail"))
		return;
	buf_init(&tail, LOG_MAX_BYTES);
	shown_add_lines(&tail, show_text(failure, "log_tail"), "  | ");
	(void)fputs(buf_text(&tail), stdout);
	buf_done(&tail);
}

/* ---- which are new ---- */

/* The list comes oldest first, and may have lost its first ones since. */
static bool is_new(const struct place *seen, int64_t at_ms, size_t nth_of_that_time)
{
	return at_ms > seen->at_ms || (at_ms == seen->at_ms && nth_of_that_time > seen->count);
}

static int print_one(struct ctl *ctl, json_t *failure, const struct logs_options *options)
{
	if (!ctl->globals.json) {
		print_failure(ctl, failure, options);
		return CTL_OK;
	}
	(void)json_dumpf(failure, stdout, JSON_COMPACT);
	(void)fputc('\n', stdout);
	return CTL_OK;
}

static int print_new(struct ctl *ctl, json_t *failures, const struct logs_options *options, struct place *seen)
{
	size_t i;
	json_t *failure;
	struct place at = {0};
	json_array_foreach(failures, i, failure)
	{
		int64_t at_ms = show_integer(failure, "at_ms");
		at.count = at_ms == at.at_ms ? at.count + 1 : 1;
		at.at_ms = at_ms;
		if (is_new(seen, at.at_ms, at.count) && print_one(ctl, failure, options))
			return CTL_FAILED;
	}
	if (at.count > 0 && is_new(seen, at.at_ms, at.count))
		*seen = at;
	return ctl_flush(ctl);
}

/* ---- following ---- */

static void on_time(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static int pause_for(struct ctl *ctl, int64_t ms, struct err *err)
{
	uv_timer_t timer;
	bool over = false;
	if (uv_timer_init(&ctl->loop, &timer))
		return err_set(err, ERR_INTERNAL, "no timer");
	timer.data = &over;
	(void)uv_timer_start(&timer, on_time, (uint64_t)ms, 0);
	int rc = ctl_wait(ctl, &over, err);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&ctl->loop, UV_RUN_NOWAIT); /* the handle is ours until the loop has let go of it */
	return rc;
}

static int ask_failures(struct ctl *ctl, const char *task, int64_t max, json_t **failures, struct err *err)
{
	char query[48];
	(void)snprintf(query, sizeof(query), "/failures?max=%lld", (long long)max);
	AUTO_FREE char *path = hub_path("/api/tasks/", task, query);
	return path ? hub_get(ctl, path, "telling a task's failures", failures, err) : err_set(err, ERR_NOMEM, "out of memory");
}

static int has_ended(struct ctl *ctl, const char *task, bool *ended, struct err *err)
{
	AUTO_FREE char *path = hub_path("/api/tasks/", task, "");
	AUTO_JSON json_t *answer = NULL;
	int rc = path ? hub_get(ctl, path, NULL, &answer, err) : err_set(err, ERR_NOMEM, "out of memory");
	*ended = *show_text(answer, "completed_at") != '\0';
	return rc;
}

/* Asked before the failures are read, so that none is missed at the end. */
static int follow(struct ctl *ctl, const char *task, const struct logs_options *options, struct place *seen, struct err *err)
{
	bool ended = false;
	int rc = 0;
	while (!rc && !ended) {
		AUTO_JSON json_t *failures = NULL;
		rc = pause_for(ctl, FOLLOW_MS, err);
		if (!rc)
			rc = has_ended(ctl, task, &ended, err);
		if (!rc)
			rc = ask_failures(ctl, task, FAILURES_MAX, &failures, err);
		if (!rc && print_new(ctl, failures, options, seen))
			return err_set(err, ERR_IO, "the failures cannot be printed");
	}
	if (!rc)
		ctl_note(ctl, "\"%s\" has ended", task);
	return rc;
}

static int run_logs(struct ctl *ctl, const struct command_call *call)
{
	const struct logs_options *options = call->options;
	const char *task = call->operands[0];
	AUTO_JSON json_t *failures = NULL;
	struct err err = {0};
	struct place seen = {0};
	if (ask_failures(ctl, task, options->last, &failures, &err))
		return ctl_fail(ctl, &err);
	if (json_array_size(failures) == 0 && !options->follow)
		ctl_note(ctl, "no attempt at an item of \"%s\" has failed since the hub started", task);
	int exit_code = print_new(ctl, failures, options, &seen);
	if (exit_code || !options->follow)
		return exit_code;
	return follow(ctl, task, options, &seen, &err) ? ctl_fail(ctl, &err) : CTL_OK;
}

static const struct option_row ROWS[] = {
	{.name = "last", .letter = 'n', .type = OPTION_INTEGER, .offset = offsetof(struct logs_options, last), .argument = "N", .min = 1,
	 .max = FAILURES_MAX, .help = "the last N failures (20; the hub keeps 100)"},
	{.name = "follow", .letter = 'f', .type = OPTION_FLAG, .offset = offsetof(struct logs_options, follow),
	 .help = "go on with new ones until the task has ended"},
	{.name = "brief", .letter = 'b', .type = OPTION_FLAG, .offset = offsetof(struct logs_options, brief),
	 .help = "without what the workers wrote"},
};
static const struct option_table OPTIONS = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};
static const struct logs_options DEFAULTS = {.last = LAST_DEFAULT};

const struct command COMMAND_LOGS = {
	.name = "logs",
	.group = GROUP_FAILURES,
	.usage = "TASK [-n N] [--follow] [--brief]",
	.purpose = "Show a task's last failures, with what the workers wrote last",
	.help = "Each failed attempt, also of items that succeeded later. They are kept in the hub's\n"
		"memory and are gone after its restart; dead letters ('gridctl dead list') stay.\n"
		"--json prints a line for each.\n",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(struct logs_options),
	.min_operands = 1,
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = run_logs,
};
