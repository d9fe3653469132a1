/* Owns the way from items to an outcome. Called by main for what the gateway gives at a time; never speaks to the gateway. */
#include "exec/runner.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A batch of the largest messages that a gateway sends; and what it takes as one value. */
enum { INPUT_CAP = 256 * 1024 * 1024, RESULT_CAP = 64 * 1024 * 1024 - 64 * 1024, KEPT_BYTES = 1024 * 1024 };

int runner_init(struct runner *runner, const struct work *work, int peer, struct err *err)
{
	*runner = (struct runner){.work = work, .peer = peer};
	runner->place = (struct result_place){.node = getenv("NODE_ID"), .instance = getenv("INSTANCE_ID")};
	arguments_init(&runner->arguments);
	buf_init(&runner->input, INPUT_CAP);
	buf_init(&runner->outcome.result, RESULT_CAP);
	return child_init(&runner->child, environ, err);
}

void runner_done(struct runner *runner)
{
	child_done(&runner->child);
	arguments_done(&runner->arguments);
	buf_done(&runner->input);
	buf_done(&runner->outcome.result);
}

/* Empties a buffer, and gives a large one back. */
static void forget(struct buf *buf)
{
	if (buf->capacity > KEPT_BYTES) {
		size_t cap = buf->cap;
		buf_done(buf);
		buf_init(buf, cap);
	}
	buf_clear(buf);
}

/* ---- before the command ---- */

void runner_refuse(struct runner *runner, const struct err *reason)
{
	struct outcome *outcome = &runner->outcome;
	outcome->failed = true;
	outcome->reason = *reason;
	outcome->exit_status = NO_EXIT_STATUS;
	outcome->log = "";
	outcome->log_len = 0;
}

static int collect_input(struct runner *runner, const struct item *items, size_t count)
{
	const char *end = runner->work->item_end == ITEM_END_NEWLINE ? "\n" : "";
	size_t end_len = runner->work->item_end == ITEM_END_NONE ? 0 : 1;
	int rc = 0;
	for (size_t i = 0; !rc && i < count; i++) {
		rc = buf_add(&runner->input, items[i].bytes, items[i].len);
		if (!rc)
			rc = buf_add(&runner->input, end, end_len);
	}
	return rc;
}

static int prepare(struct runner *runner, const struct item *items, size_t count, struct err *err)
{
	forget(&runner->input);
	const struct template *template = &runner->work->template;
	int rc = template_expand(template, items, &runner->arguments, err);
	if (!rc && !template->takes_item && collect_input(runner, items, count))
		rc = err_set(err, ERR_NOMEM, "no memory for the items");
	return rc;
}

/* ---- behind it ---- */

static void explain_start(const struct runner *runner, int error, struct err *reason)
{
	if (error == E2BIG && runner->work->template.takes_item)
		(void)err_set(reason, ERR_INVALID, "the item is too long for an argument");
	else
		(void)err_set(reason, ERR_INVALID, "cannot run %s: %s", runner->arguments.argv[0], strerror(error));
}

static void fail(struct runner *runner, const struct child_report *report)
{
	struct outcome *outcome = &runner->outcome;
	struct err *reason = &outcome->reason;
	outcome->failed = true;
	outcome->exit_status = NO_EXIT_STATUS;
	outcome->log = tail_text(&runner->child.errors, &outcome->log_len);
	switch (report->end) {
	case CHILD_EXITED:
		outcome->exit_status = report->number;
		(void)err_set(reason, ERR_INVALID, "exit status %d", report->number);
		break;
	case CHILD_KILLED:
		outcome->exit_status = 128 + report->number;
		(void)err_set(reason, ERR_INVALID, "killed by signal %d", report->number);
		break;
	case CHILD_NOT_STARTED:
		explain_start(runner, report->number, reason);
		break;
	case CHILD_TIMED_OUT:
		(void)err_set(reason, ERR_TIMEOUT, "timed out after %g s", runner->work->item_timeout);
		break;
	case CHILD_TOO_MUCH:
		(void)err_set(reason, ERR_TOO_BIG, "more than %zu bytes of output", runner->work->max_result);
		break;
	default:
		(void)err_set(reason, ERR_NOMEM, "no memory for the output");
		break;
	}
}

static void succeed(struct runner *runner, const struct item *items, size_t count, const struct child_report *report)
{
	struct outcome *outcome = &runner->outcome;
	struct result result = {
		.items = items,
		.count = count,
		.output = buf_text(&runner->child.output),
		.output_len = runner->child.output.len,
		.started = report->started,
		.seconds = report->seconds,
	};
	outcome->failed = false;
	int rc = result_write(&outcome->result, runner->work->result_format, &result, &runner->place);
	if (!rc)
		return;
	struct err reason = {0};
	(void)err_set(&reason, rc, rc == ERR_TOO_BIG ? "the item and its output are too much for one result" : "no memory for the result");
	runner_refuse(runner, &reason);
}

int runner_run(struct runner *runner, const struct item *items, size_t count, struct err *err)
{
	struct err reason = {0};
	forget(&runner->outcome.result);
	if (prepare(runner, items, count, &reason)) {
		runner_refuse(runner, &reason);
		return 0;
	}
	const struct work *work = runner->work;
	struct child_order order = {
		.argv = runner->arguments.argv,
		.input = work->template.takes_item ? NULL : buf_text(&runner->input),
		.input_len = runner->input.len,
		.max_output = work->max_result,
		.timeout_ms = (int64_t)(work->item_timeout * 1000),
		.peer = runner->peer,
	};
	struct child_report report;
	child_run(&runner->child, &order, &report);
	if (report.end == CHILD_STOPPED)
		return err_set(err, ERR_CANCELLED, "asked to end");
	if (report.end == CHILD_ABANDONED)
		return err_set(err, ERR_UNREACHABLE, "the connection to the gateway is lost");
	if (report.end == CHILD_EXITED && report.number == 0)
		succeed(runner, items, count, &report);
	else
		fail(runner, &report);
	return 0;
}
