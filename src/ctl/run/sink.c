/* Owns what was received and is not yet safe. Called by the run; never speaks to the hub.
 *
 * Rows of the job log are written when the output before them has left, and the places become safe after that: whenever the
 * program ends, what the log or the hub counts as done has been written. */
#include "ctl/run/sink.h"

#include "base/buf.h"
#include "ctl/output.h"
#include "ctl/run/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ROOM_BYTES = 1024 * 1024,              /* more does not wait for standard output, but for one result */
	ORDER_MEMORY = 32 * 1024 * 1024,
	ROWS_MAX = 64 * 1024 * 1024,
};

struct sink {
	struct sink_options options;
	struct output *output;
	struct order *order;  /* NULL: as they come */
	int joblog;           /* descriptor; -1: none */
	struct buf rows;      /* whose output has not left yet */
	struct bits safe;     /* places, from first_place on, that are given to the output … */
	int64_t upto;         /* … all below this one are */
	int64_t told;         /* on_safe said so */
	int64_t next;         /* in order: all numbers below have left, not only been taken from it */
	bool all;             /* sink_turn: whatever comes goes at once */
	bool failed;
};

static void fail(struct sink *sink, const struct err *err)
{
	if (sink->failed)
		return;
	sink->failed = true;
	sink->options.on_failed(sink->options.context, err);
}

static int write_rows(struct sink *sink, struct err *err)
{
	for (size_t done = 0; done < sink->rows.len;) {
		ssize_t len = write(sink->joblog, sink->rows.data + done, sink->rows.len - done);
		if (len >= 0)
			done += (size_t)len;
		else if (errno != EINTR)
			return err_from_errno(err, errno, "the job log %s", sink->options.joblog);
	}
	buf_clear(&sink->rows);
	return 0;
}

/* ---- what was written is safe ---- */

static void tell_safe(struct sink *sink)
{
	struct err err;
	if (write_rows(sink, &err)) {
		fail(sink, &err);
		return;
	}
	sink->next = sink->order ? order_next(sink->order) : 0;
	while (bits_has(&sink->safe, sink->upto - sink->options.first_place))
		sink->upto++;
	if (sink->upto == sink->told)
		return;
	sink->told = sink->upto;
	sink->options.on_safe(sink->options.context, sink->upto);
}

static int put(struct sink *sink, const struct sink_entry *entry, struct err *err)
{
	int rc = output_write(sink->output, entry->output, entry->output_len, err);
	if (!rc && sink->joblog >= 0 && buf_add(&sink->rows, entry->row, entry->row_len))
		rc = err_set(err, ERR_NOMEM, "out of memory");
	if (!rc && entry->last)
		rc = bits_add(&sink->safe, entry->place - sink->options.first_place);
	if (rc && !err->text[0])
		(void)err_set(err, ERR_TOO_BIG, "too many results");
	return rc;
}

/* ---- in order: an entry lies there as its row's length, its row, its output, and whether it is the last of its place ---- */

struct kept {
	size_t row_len;
	bool last;
};

static int keep(struct sink *sink, const struct sink_entry *entry, struct err *err)
{
	struct kept head = {.row_len = entry->row_len, .last = entry->last};
	struct buf bytes;
	buf_init(&bytes, SIZE_MAX / 2);
	int rc = buf_add(&bytes, &head, sizeof(head)) || buf_add(&bytes, entry->row, entry->row_len) ||
				 buf_add(&bytes, entry->output, entry->output_len)
			 ? err_set(err, ERR_NOMEM, "out of memory")
			 : order_add(sink->order, entry->seq, entry->place, bytes.data, bytes.len, err);
	buf_done(&bytes);
	return rc;
}

static int put_kept(struct sink *sink, const struct order_entry *kept, struct err *err)
{
	struct kept head;
	memcpy(&head, kept->bytes, sizeof(head));
	const char *row = kept->bytes + sizeof(head);
	const struct sink_entry entry = {.seq = kept->seq,
					 .place = kept->tag,
					 .last = head.last,
					 .row = row,
					 .row_len = head.row_len,
					 .output = row + head.row_len,
					 .output_len = kept->len - sizeof(head) - head.row_len};
	return put(sink, &entry, err);
}

static int put_due(struct sink *sink, struct err *err)
{
	struct order_entry kept;
	bool got = sink->order != NULL;
	int rc = 0;
	while (!rc && got && sink_has_room(sink)) {
		rc = order_take(sink->order, sink->all, &kept, &got, err);
		if (!rc && got)
			rc = put_kept(sink, &kept, err);
	}
	return rc;
}

static void settle(struct sink *sink, int rc, const struct err *err)
{
	if (rc)
		fail(sink, err);
	else if (output_pending(sink->output) == 0)
		tell_safe(sink);
}

void sink_turn(struct sink *sink, bool all)
{
	struct err err = {0};
	sink->all = sink->all || all;
	if (!sink->failed)
		settle(sink, put_due(sink, &err), &err);
}

int sink_add(struct sink *sink, const struct sink_entry *entry, struct err *err)
{
	int rc = sink->order ? keep(sink, entry, err) : put(sink, entry, err);
	if (!rc && sink->order)
		rc = put_due(sink, err);
	return rc;
}

int sink_pass(struct sink *sink, int64_t place, struct err *err)
{
	int rc = bits_add(&sink->safe, place - sink->options.first_place);
	return rc ? err_set(err, rc, "too many results") : 0;
}

static void on_empty(void *context)
{
	struct sink *sink = context;
	sink_turn(sink, false);
	if (!sink->failed && sink_has_room(sink))
		sink->options.on_room(sink->options.context);
}

static void before_write(void *context)
{
	struct sink *sink = context;
	if (sink->options.before_write)
		sink->options.before_write(sink->options.context);
}

static void on_output_failed(void *context, const struct err *err)
{
	fail(context, err);
}

bool sink_has_room(const struct sink *sink)
{
	return output_pending(sink->output) < ROOM_BYTES;
}

bool sink_is_written(const struct sink *sink)
{
	return output_pending(sink->output) == 0;
}

bool sink_is_at_line_start(const struct sink *sink)
{
	return output_is_at_line_start(sink->output);
}

int64_t sink_next(const struct sink *sink)
{
	return sink->next;
}

/* ---- beginning and ending ---- */

static int begin(struct sink *sink, uv_loop_t *loop, struct err *err)
{
	const struct sink_options *options = &sink->options;
	const struct output_events events = {.context = sink, .on_empty = on_empty, .before_write = before_write, .on_failed = on_output_failed};
	if (options->keep_order) {
		sink->order = order_new(options->next, ORDER_MEMORY, options->is_void, options->context);
		if (!sink->order)
			return err_set(err, ERR_NOMEM, "out of memory");
	}
	sink->output = output_new(loop, options->fd, &events, err);
	return sink->output ? 0 : (int)err->code;
}

struct sink *sink_new(uv_loop_t *loop, const struct sink_options *options, struct err *err)
{
	struct sink *sink = calloc(1, sizeof(*sink));
	if (!sink) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	sink->options = *options;
	sink->joblog = options->joblog_fd;
	sink->upto = sink->told = options->first_place;
	sink->next = options->keep_order ? options->next : 0;
	buf_init(&sink->rows, ROWS_MAX);
	if (begin(sink, loop, err) == 0)
		return sink;
	sink_close(sink);
	return NULL;
}

void sink_close(struct sink *sink)
{
	if (!sink)
		return;
	output_close(sink->output);
	order_free(sink->order);
	bits_done(&sink->safe);
	buf_done(&sink->rows);
	free(sink);
}
