/* Owns what becomes of a result that arrives: counted, written into files, given to the sink. Called by the reader of results,
 * page by page; asks for the next page when the sink has room. */
#include "ctl/run/run_parts.h"

#include "base/clock.h"
#include "ctl/run/joblog.h"
#include "ctl/run/placeholders.h"

#include <string.h>
#include <unistd.h>

enum { WAIT_S = 30, ROW_MAX = 4 * 1024 * 1024, STATE_EVERY_MS = 1000, COMMAND_ITEM_MAX = 64 * 1024 };

static const char *host_of(const struct run *run, const char *node)
{
	const char *hostname = json_string_value(json_object_get(run->hostnames, node));
	return hostname ? hostname : node;
}

/* The command as it ran, for the job log: the item in its place, cut where it is very long. */
static int add_command(const struct run *run, struct buf *into, int64_t seq, const char *item, size_t len)
{
	struct buf filled;
	int rc = 0;
	buf_init(&filled, ROW_MAX);
	for (size_t i = 0; i < run->command_len && !rc; i++) {
		buf_clear(&filled);
		rc = placeholders_fill(&filled, run->command[i], item, len < COMMAND_ITEM_MAX ? len : COMMAND_ITEM_MAX, seq);
		if (!rc && i)
			rc = buf_add(into, " ", 1);
		if (!rc)
			rc = placeholders_quote(into, buf_text(&filled), filled.len);
	}
	buf_done(&filled);
	return rc || run->command_len ? rc : buf_add(into, "-", 1);
}

int run_results_row(const struct run *run, struct buf *row, const struct run_row *what)
{
	struct buf command;
	if (!run->output->joblog)
		return 0;
	buf_init(&command, ROW_MAX);
	int rc = add_command(run, &command, what->seq, what->item, what->item_len);
	const struct joblog_row log = {.seq = what->seq,
				       .host = host_of(run, what->node),
				       .started = what->started,
				       .seconds = what->seconds,
				       .send = what->item_len,
				       .receive = what->receive,
				       .exit_status = what->exit_status,
				       .signal = what->signal,
				       .command = buf_text(&command)};
	if (!rc)
		rc = joblog_format(row, &log);
	buf_done(&command);
	return rc;
}

/* ---- one piece: a result, or an item's line of a batch's ---- */

struct piece {
	int64_t seq, place;
	bool last;
	const char *output;
	size_t output_len;
	bool silent; /* nothing of it on standard output */
	bool again;  /* it was here before: only its place counts */
};

static int write_files(const struct run *run, const struct run_result *result, const struct piece *piece, struct err *err)
{
	const char *name = run->layout == LAYOUT_NAMES ? item_folder_name(run->input.source, piece->seq - 1) : NULL;
	enum result_layout layout = run->layout == LAYOUT_NAMES && !name ? LAYOUT_SEQ : run->layout;
	const struct result_file file = {.seq = piece->seq,
					 .item = result->item,
					 .item_len = result->item_len,
					 .name = name,
					 .output = piece->output,
					 .output_len = piece->output_len,
					 .error = ""};
	return run->output->results ? result_files_write(run->output->results, layout, &file, err) : 0;
}

static int add_tagged(struct buf *into, const struct run_result *result, const struct piece *piece)
{
	struct run_lines lines = {piece->output, piece->output + piece->output_len};
	const char *line;
	size_t len;
	int rc = 0;
	while (!rc && run_lines_next(&lines, &line, &len)) {
		rc = buf_add(into, result->item, result->item_len);
		if (!rc)
			rc = buf_add(into, "\t", 1);
		if (!rc)
			rc = buf_add(into, line, len);
	}
	return rc;
}

static int put_piece(struct run *run, const struct run_result *result, const struct piece *piece, const struct buf *row,
		     struct err *err)
{
	struct buf tagged;
	buf_init(&tagged, SIZE_MAX / 2);
	struct sink_entry entry = {.seq = piece->seq,
				   .place = piece->place,
				   .last = piece->last,
				   .output = piece->silent ? "" : piece->output,
				   .output_len = piece->silent ? 0 : piece->output_len,
				   .row = buf_text(row),
				   .row_len = row->len};
	int rc = 0;
	if (run->output->tag && !piece->silent) {
		rc = add_tagged(&tagged, result, piece);
		entry.output = buf_text(&tagged);
		entry.output_len = tagged.len;
	}
	rc = rc ? err_set(err, rc, "out of memory") : sink_add(run->sink, &entry, err);
	buf_done(&tagged);
	return rc;
}

/* ---- one result ---- */

static int add_rows(const struct run *run, struct buf *rows, const struct run_result *result, size_t from, size_t count, size_t receive)
{
	int rc = 0;
	for (size_t i = from; i < from + count && !rc; i++) {
		const struct run_row row = {.seq = run_result_seq(result, i),
					    .item = result->item,
					    .item_len = result->item_len,
					    .node = result->node,
					    .started = result->started,
					    .seconds = result->seconds,
					    .receive = receive,
					    .exit_status = result->exit_status};
		rc = run_results_row(run, rows, &row);
	}
	return rc;
}

/* Each item of the result has ended. *fresh: at least one of them only now. */
static int note_items(struct run *run, const struct run_result *result, bool *fresh, struct err *err)
{
	int rc = 0;
	*fresh = false;
	for (size_t i = 0; i < result->items && !rc; i++) {
		bool now = false;
		rc = tracker_finish(&run->tracker, run_result_seq(result, i), &now);
		*fresh = *fresh || now;
	}
	return rc ? err_set(err, ERR_PROTOCOL, "a result has a number that no item of this run has") : 0;
}

/* In one piece, as it is (or as the line of JSON that it came in). */
static int put_whole(struct run *run, const struct run_result *result, const struct piece *piece, struct err *err)
{
	struct buf rows;
	buf_init(&rows, SIZE_MAX / 2);
	int rc = piece->again ? 0 : add_rows(run, &rows, result, 0, result->items, result->output_len);
	rc = rc ? err_set(err, ERR_NOMEM, "out of memory") : put_piece(run, result, piece, &rows, err);
	buf_done(&rows);
	return rc;
}

/* The place of a batch is safe with the item of the highest number: in order, it is the last to be written. */
static int put_lines(struct run *run, const struct run_result *result, const struct piece *whole, struct err *err)
{
	struct run_lines lines = run_result_lines(result);
	int64_t highest = 0;
	int rc = 0;
	for (size_t i = 0; i < result->items; i++)
		highest = run_result_seq(result, i) > highest ? run_result_seq(result, i) : highest;
	for (size_t i = 0; i < result->items && !rc; i++) {
		struct piece piece = *whole;
		struct buf row;
		piece.seq = run_result_seq(result, i);
		piece.last = piece.seq == highest;
		(void)run_lines_next(&lines, &piece.output, &piece.output_len);
		buf_init(&row, ROW_MAX);
		rc = add_rows(run, &row, result, i, 1, piece.output_len) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
		if (!rc)
			rc = write_files(run, result, &piece, err);
		if (!rc)
			rc = put_piece(run, result, &piece, &row, err);
		buf_done(&row);
	}
	return rc;
}

static int put_json(struct run *run, const struct run_result *result, const struct piece *piece, const char *line, size_t len,
		    struct err *err)
{
	struct buf text;
	buf_init(&text, SIZE_MAX / 2);
	struct piece json = *piece;
	int rc = buf_add(&text, line, len) || buf_add(&text, "\n", 1) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	json.output = buf_text(&text);
	json.output_len = text.len;
	if (!rc)
		rc = put_whole(run, result, &json, err);
	buf_done(&text);
	return rc;
}

static int put_result(struct run *run, const struct run_result *result, int64_t place, const char *line, size_t len, struct err *err)
{
	struct piece piece = {.seq = result->seq,
			      .place = place,
			      .last = true,
			      .output = result->output,
			      .output_len = result->output_len,
			      .silent = run->layout == LAYOUT_NAMES && run->output->results};
	bool json = run->ctl->globals.json;
	bool split = result->batch && (run->output->keep_order || run->output->results) && !json && run_result_has_lines(result);
	bool fresh = false;
	int rc = note_items(run, result, &fresh, err);
	piece.again = !fresh; /* it came twice: the hub was asked again for what it had not yet removed */
	piece.silent = piece.silent || !fresh;
	if (rc || (split && fresh))
		return rc ? rc : put_lines(run, result, &piece, err);
	if (fresh)
		rc = write_files(run, result, &piece, err);
	if (rc)
		return rc;
	return json && fresh ? put_json(run, result, &piece, line, len, err) : put_whole(run, result, &piece, err);
}

static void on_result(void *context, int64_t number, const char *bytes, size_t len)
{
	struct run *run = context;
	struct run_result result;
	struct err err = {0};
	if (run->over)
		return;
	int rc = run_result_read(&result, bytes, len, &err);
	while (!rc && run->next_place < number) /* somebody else took them */
		rc = sink_pass(run->sink, run->next_place++, &err);
	run->next_place = number + 1;
	if (!rc)
		rc = put_result(run, &result, number, bytes, len, &err);
	run_result_done(&result);
	if (rc)
		run_fail(run, &err);
}

/* ---- pages ---- */

void run_results_more(struct run *run)
{
	if (run->over || !sink_has_room(run->sink))
		return;
	run->asked_serial = run->look.serial;
	results_read_more(run->read, true);
}

void run_results_hurry(struct run *run, int64_t serial)
{
	if (run->page_serial >= serial || run->asked_serial >= serial || !sink_has_room(run->sink))
		return;
	if (results_read_hurry(run->read))
		run->asked_serial = run->look.serial;
}

static void on_page(void *context, const struct results_page *page)
{
	struct run *run = context;
	run->page_empty = page->next >= page->total;
	run->page_serial = run->asked_serial;
	run->page_complete = page->complete;
	run_show(run);
	run_consider(run);
	if (!page->complete)
		run_results_more(run);
}

static void on_read_failed(void *context, const struct err *err)
{
	run_fail(context, err);
}

/* ---- the sink's words ---- */

/* What attach needs to go on in the same order: whose turn it is, and which numbers before it may still come. */
void run_save_order(struct run *run)
{
	enum { FAILED_MAX = 10 * 1000 };
	json_t *failed = json_array();
	int64_t next = sink_next(run->sink);
	for (int64_t seq = 1; failed && run->tracker.failed_count && seq < next && json_array_size(failed) < FAILED_MAX; seq++) {
		if (bits_has(&run->tracker.failed, seq))
			(void)json_array_append_new(failed, json_integer(seq));
	}
	run_state_set(&run->state, "failed", failed);
	run_state_set(&run->state, "next", json_integer(next));
}

/* What was written before the run was left is not written again. */
static int restore_order(struct run *run, int64_t next, struct err *err)
{
	json_t *failed = json_object_get(run->state.object, "failed");
	json_t *seq;
	size_t i;
	int rc = 0;
	for (int64_t written = 1; written < next && !rc; written++)
		rc = bits_add(&run->tracker.finished, written);
	json_array_foreach(failed, i, seq)
		bits_remove(&run->tracker.finished, json_integer_value(seq));
	return rc ? err_set(err, rc, "out of memory") : 0;
}

static void on_safe(void *context, int64_t upto)
{
	struct run *run = context;
	int64_t now = clock_monotonic_ms();
	results_read_take(run->read, upto);
	if (!run->output->keep_order || now - run->state_saved_ms < STATE_EVERY_MS)
		return;
	run->state_saved_ms = now;
	run_save_order(run);
	run_state_save(&run->state);
}

static void on_room(void *context)
{
	struct run *run = context;
	run_results_more(run);
}

static void on_write_failed(void *context, const struct err *err)
{
	run_fail_written(context, err);
}

static void before_write(void *context)
{
	struct run *run = context;
	if (run->ctl->out.is_one)
		live_line_clear(&run->live);
}

static bool is_void(void *context, int64_t seq)
{
	const struct run *run = context;
	return tracker_is_void(&run->tracker, seq);
}

int run_results_open_log(struct run *run, struct err *err)
{
	if (!run->output->joblog || run->joblog_fd >= 0)
		return 0;
	run->joblog_fd = joblog_open(run->output->joblog, err);
	return run->joblog_fd < 0 ? (int)err->code : 0;
}

static int begin_log(struct run *run, struct err *err)
{
	int rc = run_results_open_log(run, err);
	bool goes_on = run->attached || run->resume_log;
	return rc || run->joblog_fd < 0 ? rc : joblog_begin(run->joblog_fd, run->output->joblog, goes_on, err);
}

int run_results_begin(struct run *run, int64_t cursor, struct err *err)
{
	int64_t next = json_integer_value(json_object_get(run->state.object, "next"));
	struct sink_options sink = {.fd = STDOUT_FILENO,
					  .keep_order = run->output->keep_order,
					  .next = next > 0 ? next : 1,
					  .is_void = is_void,
					  .joblog = run->output->joblog,
					  .first_place = cursor,
					  .context = run,
					  .on_safe = on_safe,
					  .before_write = before_write,
					  .on_room = on_room,
					  .on_failed = on_write_failed};
	const struct results_read_options read = {.task = run->name,
						  .cursor = cursor,
						  .wait_s = WAIT_S,
						  .context = run,
						  .on_result = on_result,
						  .on_page = on_page,
						  .on_failed = on_read_failed};
	run->next_place = cursor;
	if (begin_log(run, err))
		return (int)err->code;
	if (run->output->keep_order && next > 0 && restore_order(run, next, err))
		return (int)err->code;
	sink.joblog_fd = run->joblog_fd;
	run->sink = sink_new(&run->ctl->loop, &sink, err);
	run->read = run->sink ? results_read_new(run->ctl, &read, err) : NULL;
	return run->read ? 0 : (int)err->code;
}
