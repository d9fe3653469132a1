/* Owns `gridctl tasks` and `gridctl task NAME`: tasks and how far they are. Called through the table; changes nothing. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/moments.h"
#include "ctl/show.h"
#include "ctl/table.h"

#include <stdint.h>
#include <string.h>

extern const struct command COMMAND_TASKS;
extern const struct command COMMAND_TASK;

enum { ENDED_SHOWN = 10, WORDS_MAX_BYTES = 8192 };

struct tasks_options {
	bool all;
	const char *status;
};

static const char *status_of(json_t *task)
{
	return json_is_true(json_object_get(task, "paused")) ? "paused" : show_text(task, "status");
}

static enum table_style style_of(const char *status)
{
	if (strcmp(status, "running") == 0)
		return STYLE_GOOD;
	if (strcmp(status, "paused") == 0)
		return STYLE_WARN;
	return strcmp(status, "pending") == 0 ? STYLE_PLAIN : STYLE_FAINT;
}

/* ---- the list ---- */

static const struct table_column COLUMNS[] = {{.title = "NAME", .shrinks = true}, {.title = "STATUS"},
					      {.title = "DONE", .right = true},	  {.title = "TOTAL", .right = true},
					      {.title = "DEAD", .right = true},	  {.title = "RATE", .right = true},
					      {.title = "LEFT", .right = true},	  {.title = "SINCE"}};

static void add_numbers(struct table *table, json_t *progress, bool running)
{
	long long dead = show_integer(progress, "dead");
	double rate = show_number(progress, "rate");
	json_t *eta = json_object_get(progress, "eta");
	char left[MOMENT_TEXT_SIZE] = "";
	if (!json_object_get(progress, "total")) { /* a direct task, or one that was not looked at yet */
		for (size_t i = 0; i < 5; i++)
			table_add(table, STYLE_FAINT, "-");
		return;
	}
	table_add(table, STYLE_PLAIN, "%lld", (long long)show_integer(progress, "done"));
	table_add(table, STYLE_PLAIN, "%lld", (long long)show_integer(progress, "total"));
	table_add(table, dead ? STYLE_BAD : STYLE_PLAIN, "%lld", dead);
	if (running && rate > 0)
		table_add(table, STYLE_PLAIN, "%.1f/s", rate);
	else
		table_add(table, STYLE_FAINT, "-");
	if (running && json_is_number(eta))
		moment_duration(json_number_value(eta), left);
	table_add(table, *left ? STYLE_PLAIN : STYLE_FAINT, "%s", *left ? left : "-");
}

static void add_task(struct table *table, json_t *task, int64_t now_ms)
{
	const char *status = status_of(task);
	const char *const moments[] = {show_text(task, "completed_at"), show_text(task, "started_at"), show_text(task, "created_at")};
	char since[MOMENT_TEXT_SIZE] = "-";
	int64_t then_ms = 0;
	for (size_t i = 0; i < sizeof(moments) / sizeof(moments[0]); i++) {
		if (moment_parse(moments[i], &then_ms)) {
			moment_ago(then_ms, now_ms, since);
			break;
		}
	}
	table_add(table, STYLE_PLAIN, "%s", show_text(task, "name"));
	table_add(table, style_of(status), "%s", status);
	add_numbers(table, json_object_get(task, "progress"), strcmp(show_text(task, "status"), "running") == 0);
	table_add(table, STYLE_FAINT, "%s", since);
}

static bool has_ended(json_t *task)
{
	return *show_text(task, "completed_at") != '\0';
}

static bool fits(json_t *task, const struct tasks_options *options)
{
	return !options->status || strcmp(options->status, status_of(task)) == 0 ||
	       strcmp(options->status, show_text(task, "status")) == 0;
}

/* Of those that have ended (oldest first) the last ones, unless all are wanted. How many were left out. */
static size_t add_tasks(struct table *table, json_t *tasks, const struct tasks_options *options)
{
	size_t i;
	json_t *task;
	size_t ended = 0;
	size_t left_out = 0;
	int64_t now_ms = clock_wall_ms();
	json_array_foreach(tasks, i, task)
		ended += has_ended(task) && fits(task, options);
	size_t skip = options->all || options->status || ended <= ENDED_SHOWN ? 0 : ended - ENDED_SHOWN;
	json_array_foreach(tasks, i, task)
	{
		if (!fits(task, options))
			continue;
		if (has_ended(task) && left_out < skip)
			left_out++;
		else
			add_task(table, task, now_ms);
	}
	return left_out;
}

static int print_tasks(struct ctl *ctl, json_t *tasks, const struct tasks_options *options)
{
	struct table *table = table_new(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
	size_t left_out = table ? add_tasks(table, tasks, options) : 0;
	int rc = 0;
	if (!table || table_rows(table) > 0)
		rc = table_print(table, stdout, &ctl->out);
	else
		ctl_note(ctl, "no task%s", options->status ? " of that status" : " yet");
	table_free(table);
	if (left_out > 0)
		ctl_note(ctl, "%zu more that ended before: gridctl tasks --all", left_out);
	return rc ? show_no_memory(ctl) : CTL_OK;
}

static int run_tasks(struct ctl *ctl, const struct command_call *call)
{
	const struct tasks_options *options = call->options;
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	if (hub_get(ctl, "/api/tasks", NULL, &answer, &err))
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	return print_tasks(ctl, json_object_get(answer, "tasks"), options);
}

static const struct option_row TASKS_ROWS[] = {
	{.name = "all", .letter = 'a', .type = OPTION_FLAG, .offset = offsetof(struct tasks_options, all),
	 .help = "all that have ended, not the last ten alone"},
	{.name = "status", .type = OPTION_TEXT, .offset = offsetof(struct tasks_options, status), .argument = "STATUS",
	 .choices = "running paused pending completed cancelled", .help = "those of this status alone"},
};

static const struct option_table TASKS_OPTIONS = {TASKS_ROWS, sizeof(TASKS_ROWS) / sizeof(TASKS_ROWS[0])};

const struct command COMMAND_TASKS = {
	.name = "tasks",
	.group = GROUP_TASKS,
	.usage = "[--all] [--status STATUS]",
	.purpose = "List the tasks, and how far they are",
	.help = "The one that runs, those that wait in their order, those that have ended. LEFT is\n"
		"how long the rest takes at the present RATE (items a second); SINCE, when it ended,\n"
		"began or came. --json prints the hub's answer to GET /api/tasks.\n",
	.options = &TASKS_OPTIONS,
	.options_size = sizeof(struct tasks_options),
	.run = run_tasks,
};

/* ---- one task ---- */

static void show_moment(const struct ctl *ctl, const char *label, json_t *task, const char *field)
{
	char ago[MOMENT_TEXT_SIZE];
	char local[MOMENT_TEXT_SIZE];
	int64_t then_ms = 0;
	if (!moment_parse(show_text(task, field), &then_ms))
		return;
	moment_ago(then_ms, clock_wall_ms(), ago);
	moment_local(then_ms, local);
	show_field(ctl, label, STYLE_PLAIN, "%s (%s)", local, ago);
}

static void show_progress(const struct ctl *ctl, json_t *progress)
{
	int64_t total = show_integer(progress, "total");
	int64_t done = show_integer(progress, "done");
	int64_t dead = show_integer(progress, "dead");
	double rate = show_number(progress, "rate");
	char left[MOMENT_TEXT_SIZE];
	if (*show_text(progress, "blocked"))
		show_field(ctl, "Blocked", STYLE_BAD, "%s", show_text(progress, "blocked"));
	if (!json_object_get(progress, "total"))
		return;
	show_field(ctl, "Items", STYLE_PLAIN, "%lld of %lld done (%.4g %%), %lld waiting, %lld with nodes", (long long)done,
		   (long long)total, total > 0 ? 100.0 * (double)done / (double)total : 0, (long long)show_integer(progress, "waiting"),
		   (long long)show_integer(progress, "leased"));
	show_field(ctl, "Failures", dead ? STYLE_BAD : STYLE_PLAIN, "%lld failed attempts, %lld dead letters, %lld lost with their nodes",
		   (long long)show_integer(progress, "failed"), (long long)dead, (long long)show_integer(progress, "lost"));
	if (rate > 0) {
		moment_duration(show_number(progress, "eta"), left);
		show_field(ctl, "Rate", STYLE_PLAIN, "%.1f items/s%s%s", rate, json_is_number(json_object_get(progress, "eta")) ? ", left: " : "",
			   json_is_number(json_object_get(progress, "eta")) ? left : "");
	}
}

static void show_command(const struct ctl *ctl, json_t *task, const char *label, const char *field)
{
	struct buf text;
	json_t *words = json_object_get(task, field);
	if (!json_is_array(words))
		return;
	buf_init(&text, WORDS_MAX_BYTES);
	show_words(&text, words);
	show_field(ctl, label, STYLE_PLAIN, "%s", buf_text(&text));
	buf_done(&text);
}

static void show_named(const struct ctl *ctl, json_t *object, const char *label)
{
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
	{
		if (json_is_string(value))
			show_field(ctl, label, STYLE_PLAIN, "%s: %s", name, json_string_value(value));
	}
}

static void show_environment(const struct ctl *ctl, json_t *object)
{
	const char *name;
	json_t *value;
	json_object_foreach(object, name, value)
		show_field(ctl, "Environment", STYLE_PLAIN, "%s=%s", name, json_string_value(value));
}

static void show_queues(const struct ctl *ctl, json_t *task)
{
	const char *const fields[][2] = {{"Delivery", "delivery"}, {"Input queue", "input_queue"}, {"Input Redis", "input_redis"},
					 {"Output queue", "output_queue"}, {"Output Redis", "output_redis"}, {"Network", "network"}};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (*show_text(task, fields[i][1]))
			show_field(ctl, fields[i][0], STYLE_PLAIN, "%s", show_text(task, fields[i][1]));
	}
}

static void show_limits(const struct ctl *ctl, json_t *task)
{
	if (show_integer(task, "batch") > 1)
		show_field(ctl, "Batch", STYLE_PLAIN, "%lld items to a command", (long long)show_integer(task, "batch"));
	if (show_integer(task, "memory_mb") > 0)
		show_field(ctl, "Memory", STYLE_PLAIN, "%lld MB", (long long)show_integer(task, "memory_mb"));
	if (show_integer(task, "cpus") > 0)
		show_field(ctl, "CPUs", STYLE_PLAIN, "%lld", (long long)show_integer(task, "cpus"));
	if (show_integer(task, "item_timeout") > 0)
		show_field(ctl, "Item timeout", STYLE_PLAIN, "%lld s", (long long)show_integer(task, "item_timeout"));
	if (show_integer(task, "max_attempts") > 0)
		show_field(ctl, "Attempts", STYLE_PLAIN, "%lld at most", (long long)show_integer(task, "max_attempts"));
	if (json_is_true(json_object_get(task, "auto_finish")))
		show_field(ctl, "Finishes", STYLE_PLAIN, "by itself, %lld s after its last item",
			   (long long)show_integer(task, "auto_finish_after"));
}

static void print_task(const struct ctl *ctl, json_t *task)
{
	const char *status = status_of(task);
	show_field(ctl, "Task", STYLE_BOLD, "%s", show_text(task, "name"));
	show_field(ctl, "Status", style_of(status), "%s", status);
	show_progress(ctl, json_object_get(task, "progress"));
	if (*show_text(task, "image"))
		show_field(ctl, "Image", STYLE_PLAIN, "%s", show_text(task, "image"));
	show_named(ctl, json_object_get(task, "images"), "Image");
	show_command(ctl, task, "Command", "exec");
	show_command(ctl, task, "Command", "command");
	show_environment(ctl, json_object_get(task, "env"));
	show_queues(ctl, task);
	show_limits(ctl, task);
	show_moment(ctl, "Created", task, "created_at");
	show_moment(ctl, "Started", task, "started_at");
	show_moment(ctl, "Ended", task, "completed_at");
}

static int run_task(struct ctl *ctl, const struct command_call *call)
{
	AUTO_FREE char *path = hub_path("/api/tasks/", call->operands[0], "");
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	if (!path)
		return show_no_memory(ctl);
	if (hub_get(ctl, path, NULL, &answer, &err))
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	print_task(ctl, answer);
	return CTL_OK;
}

const struct command COMMAND_TASK = {
	.name = "task",
	.group = GROUP_TASKS,
	.usage = "NAME",
	.purpose = "Show one task: its state, its numbers, its options",
	.help = "Of several of that name the one that runs or waits, else the last one.\n",
	.min_operands = 1,
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = run_task,
};
