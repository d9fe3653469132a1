/* Owns what a run knows of its dead letters: read page by page as they come, counted, noted in the job log, kept for the last words.
 * Called after each look at the task. */
#include "ctl/run/run_parts.h"

#include "base/cleanup.h"
#include "ctl/shown.h"

#include <stdlib.h>
#include <string.h>

enum { PAGE = 50, STUCK_AFTER = 3, ROW_MAX = 4 * 1024 * 1024 };

static const char *text(json_t *object, const char *field)
{
	const char *value = json_string_value(json_object_get(object, field));
	return value ? value : "";
}

/* The last line of what the command said. */
static const char *last_line(const char *tail, size_t *len)
{
	size_t end = strlen(tail);
	while (end > 0 && strchr("\r\n \t", tail[end - 1]))
		end--;
	size_t start = end;
	while (start > 0 && tail[start - 1] != '\n')
		start--;
	*len = end - start;
	return tail + start;
}

static void keep_text(struct run *run, int64_t seq, const char *item, json_t *error)
{
	enum { ITEM_SHOWN = 40, LINE_SHOWN = 100 };
	size_t len = 0;
	const char *line = last_line(text(error, "log_tail"), &len);
	AUTO_FREE char *copy = strndup(line, len);
	struct buf shown;
	if (run->failure_count == FAILURES_TOLD)
		return;
	struct run_failure *failure = &run->failures[run->failure_count++];
	failure->seq = seq;
	buf_init(&shown, REASON_MAX - 1);
	int rc = buf_printf(&shown, "item %lld", (long long)seq);
	if (!rc && *item) {
		rc = buf_printf(&shown, " (");
		shown_add(&shown, item, ITEM_SHOWN);
		if (!rc)
			rc = buf_printf(&shown, ")");
	}
	if (!rc)
		rc = buf_printf(&shown, ": ");
	shown_add(&shown, *text(error, "reason") ? text(error, "reason") : "failed", LINE_SHOWN);
	if (!rc && len && copy && !buf_printf(&shown, ": "))
		shown_add(&shown, copy, LINE_SHOWN);
	(void)snprintf(failure->text, sizeof(failure->text), "%s", buf_text(&shown));
	buf_done(&shown);
}

static int signal_of(const char *reason)
{
	static const char KILLED[] = "killed by signal ";
	const char *found = strstr(reason, KILLED);
	return found ? atoi(found + sizeof(KILLED) - 1) : 0;
}

/* A line of the job log, and files where results have some. */
static int write_out(struct run *run, int64_t seq, const char *item, json_t *letter, struct err *err)
{
	json_t *error = json_object_get(letter, "error");
	json_t *status = json_object_get(error, "exit_status");
	struct buf row;
	int signal = signal_of(text(error, "reason"));
	const struct run_row what = {.seq = seq,
				     .item = item,
				     .item_len = strlen(item),
				     .node = *text(error, "node") ? text(error, "node") : "-",
				     .started = (double)json_integer_value(json_object_get(letter, "died_at_ms")) / 1000,
				     .exit_status = json_is_integer(status) && json_integer_value(status) > 0
							    ? (int)json_integer_value(status)
							    : signal ? 0 : -1,
				     .signal = signal};
	buf_init(&row, ROW_MAX);
	int rc = run_results_row(run, &row, &what) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	const struct sink_entry entry = {.seq = seq, .output = "", .row = buf_text(&row), .row_len = row.len};
	if (!rc)
		rc = sink_add(run->sink, &entry, err);
	buf_done(&row);
	const char *tail = text(error, "log_tail");
	const struct result_file file = {.seq = seq, .item = item, .item_len = strlen(item), .output = "", .error = tail,
					 .error_len = strlen(tail), .failed = true, .name = "-"};
	return rc || !run->output->results || run->layout == LAYOUT_NAMES
		       ? rc
		       : result_files_write(run->output->results, run->layout, &file, err);
}

/* A letter's item is "<seq> TAB <bytes>". */
static int take_letter(struct run *run, json_t *letter, struct err *err)
{
	const char *payload = text(letter, "item");
	char *tab = NULL;
	int64_t seq = strtoll(payload, &tab, 10);
	if (seq <= 0 || *tab != '\t')
		return 0; /* none of ours: somebody else pushed it */
	const char *item = tab + 1;
	int rc = tracker_fail(&run->tracker, seq);
	bool fresh = !bits_has(&run->reported, seq);
	if (!rc)
		rc = bits_add(&run->reported, seq);
	if (rc)
		return err_set(err, ERR_PROTOCOL, "a dead letter has a number that no item of this run has");
	if (!fresh)
		return 0;
	keep_text(run, seq, item, json_object_get(letter, "error"));
	return write_out(run, seq, item, letter, err);
}

static void on_dead(void *context, const struct hub_answer *answer)
{
	struct run *run = context;
	json_t *letters = json_object_get(answer->json, "dead");
	json_t *letter;
	size_t i;
	int rc = 0;
	struct err err;
	run->dead_call = NULL;
	if (answer->err)
		return; /* asked again after the next look */
	json_array_foreach(letters, i, letter) {
		if (!rc)
			rc = take_letter(run, letter, &err);
	}
	if (rc) {
		run_fail(run, &err);
		return;
	}
	run->dead_read += (int64_t)json_array_size(letters);
	sink_turn(run->sink, false); /* what waited for a failed one has its turn */
	run_halt_look(run);
	run_consider(run);
	if (!run->over && json_array_size(letters) > 0)
		run_dead_look(run);
}

void run_dead_look(struct run *run)
{
	struct err err;
	char after[64];
	/* They can be retried or dropped by somebody meanwhile: fewer of them, or others. */
	if (run->look.dead < run->dead_read || run->stuck >= STUCK_AFTER) {
		tracker_forget_failures(&run->tracker);
		run->dead_read = 0;
		run->stuck = 0;
	}
	if (run->dead_call || run->over || run->look.dead <= run->dead_read)
		return;
	(void)snprintf(after, sizeof(after), "/dead?cursor=%lld&count=%d", (long long)run->dead_read, PAGE);
	AUTO_FREE char *path = hub_path("/api/tasks/", run->name, after);
	const struct hub_request request = {.method = "GET", .path = path};
	if (path)
		run->dead_call = hub_call_start(run->ctl, &request, on_dead, run, &err);
}
