/* Owns `gridctl dead …`: a task's dead letters, the items that failed for good. Called through the table. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/moments.h"
#include "ctl/show.h"
#include "ctl/shown.h"
#include "ctl/table.h"

#include <stdint.h>
#include <string.h>

extern const struct command COMMAND_DEAD_LIST;
extern const struct command COMMAND_DEAD_SHOW;
extern const struct command COMMAND_DEAD_RETRY;
extern const struct command COMMAND_DEAD_DROP;

enum { PAGE = 500, MAX_DEFAULT = 100, LOG_MAX_BYTES = 64 * 1024 };

/* ---- reading the hub's list, page by page ---- */

/* Each letter, in the order of deaths; false ends the reading. */
typedef bool on_letter(void *context, json_t *letter);

struct reading {
	on_letter *each;
	void *context;
	int64_t total; /* as the hub last said */
};

static int ask_page(struct ctl *ctl, const char *task, int64_t cursor, json_t **answer, struct err *err)
{
	char query[64];
	(void)snprintf(query, sizeof(query), "/dead?cursor=%lld&count=%d", (long long)cursor, PAGE);
	AUTO_FREE char *path = hub_path("/api/tasks/", task, query);
	return path ? hub_get(ctl, path, "dead letters", answer, err) : err_set(err, ERR_NOMEM, "out of memory");
}

static int read_letters(struct ctl *ctl, const char *task, struct reading *reading, struct err *err)
{
	int64_t cursor = 0;
	do {
		AUTO_JSON json_t *answer = NULL;
		size_t i;
		json_t *letter;
		int rc = ask_page(ctl, task, cursor, &answer, err);
		if (rc)
			return rc;
		reading->total = show_integer(answer, "total");
		json_array_foreach(json_object_get(answer, "dead"), i, letter)
		{
			if (!reading->each(reading->context, letter))
				return 0;
		}
		int64_t next = show_integer(answer, "next_cursor");
		cursor = next > cursor ? next : 0; /* 0: it was the last page */
	} while (cursor > 0);
	return 0;
}

/* ---- list ---- */

struct list_options {
	int64_t max;
	bool all;
};

struct listing {
	const struct list_options *options;
	struct table *table;
	json_t *letters; /* for --json, in the table's place */
	size_t count;
	int64_t now_ms;
};

static void add_exit(struct table *table, json_t *error)
{
	json_t *status = json_object_get(error, "exit_status");
	if (json_is_integer(status) && json_integer_value(status) >= 0)
		table_add(table, STYLE_PLAIN, "%lld", (long long)json_integer_value(status));
	else
		table_add(table, STYLE_FAINT, "-");
}

/* An error that is no object (an item lost with its nodes) may be a text. */
static const char *reason_of(json_t *letter)
{
	json_t *error = json_object_get(letter, "error");
	return json_is_string(error) ? json_string_value(error) : show_text(error, "reason");
}

static bool list_letter(void *context, json_t *letter)
{
	struct listing *listing = context;
	char ago[MOMENT_TEXT_SIZE];
	if (!listing->options->all && listing->count >= (size_t)listing->options->max)
		return false;
	listing->count++;
	if (listing->letters)
		return json_array_append(listing->letters, letter) == 0;
	moment_ago(show_integer(letter, "died_at_ms"), listing->now_ms, ago);
	table_add(listing->table, STYLE_PLAIN, "%s", show_text(letter, "id"));
	table_add(listing->table, STYLE_FAINT, "%s", ago);
	long long attempts = show_integer(letter, "attempts");
	long long losses = show_integer(letter, "losses");
	table_add(listing->table, STYLE_PLAIN, "%lld", attempts + losses);
	add_exit(listing->table, json_object_get(letter, "error"));
	table_add(listing->table, STYLE_PLAIN, "%s", show_text(letter, "item"));
	table_add(listing->table, STYLE_PLAIN, "%s", reason_of(letter));
	return true;
}

static int print_list(struct ctl *ctl, const char *task, struct listing *listing, int64_t total)
{
	int rc = 0;
	if (listing->letters)
		return ctl_print_json(ctl, json_pack("{s:I, s:O}", "total", (json_int_t)total, "dead", listing->letters));
	if (!listing->table || listing->count > 0)
		rc = table_print(listing->table, stdout, &ctl->out);
	else
		ctl_note(ctl, "\"%s\" has no dead letters", task);
	if (!rc && (int64_t)listing->count < total)
		ctl_note(ctl, "%lld more: --all, or --max N", (long long)(total - (int64_t)listing->count));
	return rc ? show_no_memory(ctl) : CTL_OK;
}

static int run_list(struct ctl *ctl, const struct command_call *call)
{
	static const struct table_column COLUMNS[] = {{.title = "ID"},
						      {.title = "DIED"},
						      {.title = "ATTEMPTS", .right = true},
						      {.title = "EXIT", .right = true},
						      {.title = "ITEM", .shrinks = true},
						      {.title = "REASON", .shrinks = true}};
	struct err err = {0};
	struct listing listing = {.options = call->options, .now_ms = clock_wall_ms()};
	if (ctl->globals.json)
		listing.letters = json_array();
	else
		listing.table = table_new(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
	struct reading reading = {.each = list_letter, .context = &listing};
	int exit_code = read_letters(ctl, call->operands[0], &reading, &err)
				? ctl_fail(ctl, &err)
				: print_list(ctl, call->operands[0], &listing, reading.total);
	json_decref(listing.letters);
	table_free(listing.table);
	return exit_code;
}

static const struct option_row LIST_ROWS[] = {
	{.name = "max", .letter = 'n', .type = OPTION_INTEGER, .offset = offsetof(struct list_options, max), .argument = "N", .min = 1,
	 .max = 1000000, .help = "at most so many, the oldest first (100)"},
	{.name = "all", .letter = 'a', .type = OPTION_FLAG, .offset = offsetof(struct list_options, all), .help = "all of them"},
};
static const struct option_table LIST_OPTIONS = {LIST_ROWS, sizeof(LIST_ROWS) / sizeof(LIST_ROWS[0])};
static const struct list_options LIST_DEFAULTS = {.max = MAX_DEFAULT};

const struct command COMMAND_DEAD_LIST = {
	.name = "dead list",
	.group = GROUP_FAILURES,
	.usage = "TASK [-n N | --all]",
	.purpose = "List a task's dead letters: items that failed for good",
	.help = "In the order of their deaths. An item becomes a dead letter after max_attempts failed\n"
		"attempts, or when it was lost with its node too often.\n",
	.options = &LIST_OPTIONS,
	.defaults = &LIST_DEFAULTS,
	.options_size = sizeof(struct list_options),
	.min_operands = 1,
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = run_list,
};

/* ---- show ---- */

struct showing {
	struct ctl *ctl;
	const struct command_call *call;
	bool *found;     /* of each id that was given */
	size_t missing;  /* of these */
	json_t *letters; /* for --json */
	size_t shown;
};

static void show_log(const char *tail)
{
	struct buf text;
	buf_init(&text, LOG_MAX_BYTES);
	shown_add_lines(&text, tail, "  | ");
	(void)fputs(buf_text(&text), stdout);
	buf_done(&text);
}

static void print_letter(const struct ctl *ctl, json_t *letter)
{
	char ago[MOMENT_TEXT_SIZE];
	char local[MOMENT_TEXT_SIZE];
	json_t *error = json_object_get(letter, "error");
	json_t *status = json_object_get(error, "exit_status");
	int64_t died_ms = show_integer(letter, "died_at_ms");
	moment_ago(died_ms, clock_wall_ms(), ago);
	moment_local(died_ms, local);
	show_field(ctl, "Dead letter", STYLE_BOLD, "%s", show_text(letter, "id"));
	show_field(ctl, "Item", STYLE_PLAIN, "%s", show_text(letter, "item"));
	show_field(ctl, "Died", STYLE_PLAIN, "%s (%s)", local, ago);
	show_field(ctl, "Attempts", STYLE_PLAIN, "%lld failed, %lld lost with their nodes", (long long)show_integer(letter, "attempts"),
		   (long long)show_integer(letter, "losses"));
	if (*show_text(error, "hostname") || *show_text(error, "node"))
		show_field(ctl, "Node", STYLE_PLAIN, "%s", *show_text(error, "hostname") ? show_text(error, "hostname") : show_text(error, "node"));
	show_field(ctl, "Reason", STYLE_BAD, "%s", reason_of(letter));
	if (json_is_integer(status) && json_integer_value(status) >= 0)
		show_field(ctl, "Exit status", STYLE_PLAIN, "%lld", (long long)json_integer_value(status));
	if (json_is_true(json_object_get(error, "out_of_memory")))
		show_field(ctl, "Memory", STYLE_BAD, "a process of it ran out of memory");
	if (*show_text(error, "log_tail")) {
		printf("Last output:\n");
		show_log(show_text(error, "log_tail"));
	}
}

/* Ids may be cut, as long as they are somebody's beginning. */
static bool is_wanted(const struct showing *showing, const char *id)
{
	bool wanted = showing->call->operand_count == 1;
	for (size_t i = 1; i < showing->call->operand_count; i++) {
		const char *given = showing->call->operands[i];
		if (!*given || strncmp(id, given, strlen(given)) != 0)
			continue;
		showing->found[i] = true;
		wanted = true;
	}
	return wanted;
}

static bool show_letter(void *context, json_t *letter)
{
	struct showing *showing = context;
	if (!is_wanted(showing, show_text(letter, "id")))
		return true;
	if (showing->letters)
		return json_array_append(showing->letters, letter) == 0;
	if (showing->shown++ > 0)
		printf("\n");
	print_letter(showing->ctl, letter);
	return true;
}

static int end_showing(struct ctl *ctl, const struct command_call *call, struct showing *showing)
{
	int exit_code = CTL_OK;
	if (showing->letters)
		exit_code = ctl_print_json(ctl, json_incref(showing->letters));
	else if (call->operand_count == 1 && showing->shown == 0)
		ctl_note(ctl, "\"%s\" has no dead letters", call->operands[0]);
	for (size_t i = 1; i < call->operand_count; i++) {
		if (showing->found[i])
			continue;
		ctl_error(ctl, "\"%s\" has no dead letter %s", call->operands[0], call->operands[i]);
		exit_code = CTL_FAILED;
	}
	return exit_code;
}

static int run_show(struct ctl *ctl, const struct command_call *call)
{
	struct err err = {0};
	AUTO_FREE bool *found = calloc(call->operand_count + 1, sizeof(*found));
	AUTO_JSON json_t *letters = ctl->globals.json ? json_array() : NULL;
	struct showing showing = {.ctl = ctl, .call = call, .found = found, .letters = letters};
	struct reading reading = {.each = show_letter, .context = &showing};
	if (!found)
		return show_no_memory(ctl);
	if (read_letters(ctl, call->operands[0], &reading, &err))
		return ctl_fail(ctl, &err);
	return end_showing(ctl, call, &showing);
}

const struct command COMMAND_DEAD_SHOW = {
	.name = "dead show",
	.group = GROUP_FAILURES,
	.usage = "TASK [ID...]",
	.purpose = "Show dead letters whole: item, reason, exit status, last output",
	.help = "Without an ID all of the task's. An ID may be cut to its beginning.\n",
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = run_show,
};

/* ---- retry and drop ---- */

struct drop_options {
	bool all;
};

static json_t *ids_of(const struct command_call *call)
{
	json_t *ids = json_array();
	for (size_t i = 1; ids && i < call->operand_count; i++) {
		if (json_array_append_new(ids, json_string(call->operands[i]))) {
			json_decref(ids);
			return NULL;
		}
	}
	return ids;
}

static int change(struct ctl *ctl, const struct command_call *call, const char *after, const char *field, const char *outcome)
{
	bool all = call->operand_count == 1;
	AUTO_FREE char *path = hub_path("/api/tasks/", call->operands[0], after);
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	json_t *body = all ? json_object() : json_pack("{s:o}", "ids", ids_of(call));
	if (!path || !body) {
		json_decref(body);
		return show_no_memory(ctl);
	}
	if (hub_post(ctl, path, body, "dead letters", &answer, &err))
		return ctl_fail(ctl, &err);
	int64_t changed = show_integer(answer, field);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	ctl_note(ctl, "%lld dead letter%s %s", (long long)changed, changed == 1 ? "" : "s", outcome);
	if (all || changed == (int64_t)call->operand_count - 1)
		return CTL_OK;
	ctl_error(ctl, "%lld of the given ids are no dead letters of \"%s\"", (long long)((int64_t)call->operand_count - 1 - changed),
		  call->operands[0]);
	return CTL_FAILED;
}

struct retry_options {
	bool force;
};

/* Whether the task has ended, and what that means is said. */
static int check_goes_on(struct ctl *ctl, const char *task)
{
	AUTO_FREE char *path = hub_path("/api/tasks/", task, "");
	AUTO_JSON json_t *details = NULL;
	struct err err = {0};
	if (!path)
		return show_no_memory(ctl);
	if (hub_get(ctl, path, "a task", &details, &err))
		return ctl_fail(ctl, &err);
	const char *status = json_string_value(json_object_get(details, "status"));
	if (!status || (strcmp(status, "completed") != 0 && strcmp(status, "cancelled") != 0))
		return CTL_OK;
	const char *queue = json_string_value(json_object_get(details, "input_queue"));
	ctl_error(ctl, "the task \"%s\" has ended: its dead letters would only go back into the queue %s, for a task that uses it later "
		       "(--force does that). To compute them: the same run again with --joblog FILE and --resume-failed; or give "
		       "--no-finish to a run, then retry, and attach", task, queue ? queue : "");
	return CTL_FAILED;
}

static int run_retry(struct ctl *ctl, const struct command_call *call)
{
	const struct retry_options *options = call->options;
	int status = options->force ? CTL_OK : check_goes_on(ctl, call->operands[0]);
	if (status != CTL_OK)
		return status;
	return change(ctl, call, "/dead/retry", "retried", "tried again");
}

static const struct option_row RETRY_ROWS[] = {
	{.name = "force", .type = OPTION_FLAG, .offset = offsetof(struct retry_options, force),
	 .help = "also those of a task that has ended: back into its queue"},
};
static const struct option_table RETRY_OPTIONS = {RETRY_ROWS, sizeof(RETRY_ROWS) / sizeof(RETRY_ROWS[0])};

const struct command COMMAND_DEAD_RETRY = {
	.name = "dead retry",
	.group = GROUP_FAILURES,
	.usage = "TASK [ID...]",
	.purpose = "Try dead letters again, as new items",
	.help = "Without an ID all of the task's. Those of a task that has ended are worked on when a\n"
		"task with the same queues runs, and are put back with --force alone.\n",
	.options = &RETRY_OPTIONS,
	.options_size = sizeof(struct retry_options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = run_retry,
};

static int run_drop(struct ctl *ctl, const struct command_call *call)
{
	const struct drop_options *options = call->options;
	if (call->operand_count == 1 && !options->all)
		return ctl_usage(ctl, call->command, "dead drop: which? Name their ids, or give --all");
	if (call->operand_count > 1 && options->all)
		return ctl_usage(ctl, call->command, "dead drop: either ids or --all");
	return change(ctl, call, "/dead/drop", "dropped", "dropped");
}

static const struct option_row DROP_ROWS[] = {
	{.name = "all", .type = OPTION_FLAG, .offset = offsetof(struct drop_options, all), .help = "all of the task's"},
};
static const struct option_table DROP_OPTIONS = {DROP_ROWS, sizeof(DROP_ROWS) / sizeof(DROP_ROWS[0])};

const struct command COMMAND_DEAD_DROP = {
	.name = "dead drop",
	.group = GROUP_FAILURES,
	.usage = "TASK ID... | TASK --all",
	.purpose = "Remove dead letters: their items are given up",
	.help = "",
	.options = &DROP_OPTIONS,
	.options_size = sizeof(struct drop_options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = run_drop,
};
