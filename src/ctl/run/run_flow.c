/* Owns the course of a run: what goes on beside each other, when it is over, and what has to be done then. Called by run and
 * attach, once the task is registered. */
#include "ctl/run/run_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <string.h>

enum { STUCK_AFTER = 3, CLOSE_MS = 10 * 1000, BAR_SAY_EVERY_MS = 2000 };

void run_end(struct run *run, enum run_phase phase)
{
	if (run->over)
		return;
	run->phase = phase;
	run->over = true;
}

void run_fail(struct run *run, const struct err *err)
{
	run->broken = true;
	if (run->over)
		return;
	run->err = *err;
	run_end(run, RUN_FAILED); /* here: the task itself may go on */
}

void run_fail_written(struct run *run, const struct err *err)
{
	if (run->phase == RUN_FINISHED || run->phase == RUN_ENDED)
		run->over = false; /* not without its results */
	run_fail(run, err);
}

/* ---- pushing ---- */

static int next_item(void *context, struct item *item, enum item_got *got, struct err *err)
{
	struct run *run = context;
	return run_input_next(&run->input, item, got, err);
}

static void on_source_ready(void *context)
{
	struct run *run = context;
	if (run->push)
		items_push_ready(run->push);
}

static void note_pushed(struct run *run)
{
	run->push_done = true;
	run_state_set(&run->state, "pushed", json_true());
	run_state_save(&run->state);
}

static void on_pushed(void *context, const struct err *err)
{
	struct run *run = context;
	int64_t count = items_push_count(run->push);
	items_push_free(steal(run->push));
	if (err) {
		run->given_up = !run->attached && !run->over && count == 0 && run->tracker.finished_count == 0;
		run_fail(run, err);
		return;
	}
	run->pushed = count;
	note_pushed(run);
	run_consider(run);
}

static int begin_push(struct run *run, struct err *err)
{
	const struct items_push_options options = {
		.task = run->name, .id = run->push_id, .from = run->pushed, .context = run, .next = next_item, .on_done = on_pushed};
	if (!run->input.source) {
		run->push_done = true;
		return 0;
	}
	item_source_listen(run->input.source, on_source_ready, run);
	run->push = items_push_new(run->ctl, &options, err);
	return run->push ? 0 : (int)err->code;
}

/* ---- whether it is over ---- */

/* The hub says that nothing is out any more, and all results that were there then are here. A call for results that the hub
 * holds, for there are none, is not waited for. */
static bool hub_is_through(struct run *run)
{
	const struct run_look *look = &run->look;
	int64_t given = run->attached ? run->pushed : run->tracker.given;
	bool quiet = look->numbers && look->waiting == 0 && look->leased == 0 && look->done + look->dead >= given;
	if (!quiet || run->dead_read < look->dead)
		return false;
	run_results_hurry(run, look->serial);
	return run->page_empty && run->page_serial >= look->serial;
}

void run_consider(struct run *run)
{
	if (run->over || run->phase == RUN_HALTING)
		return;
	if (run->page_complete && (run->look.dead <= run->dead_read || !run->look.numbers)) {
		run_end(run, run->push_done && !run->attached && tracker_is_complete(&run->tracker) ? RUN_FINISHED : RUN_ENDED);
		return;
	}
	if (!run->push_done)
		return;
	if (!run->attached && tracker_is_complete(&run->tracker)) {
		run_end(run, RUN_FINISHED);
		return;
	}
	if (!hub_is_through(run) || run->stuck_serial == run->look.serial)
		return;
	run->stuck_serial = run->look.serial;
	if (run->attached || ++run->stuck > STUCK_AFTER + 1)
		run_end(run, RUN_FINISHED); /* what is still missing is told */
}

/* ---- after it is over ---- */

static void on_late(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static void on_closed(uv_handle_t *handle)
{
	handle->data = NULL;
}

/* Turns of the loop until what was received is written, and the hub knows it; a while only, where somebody waits for the end. */
static void settle(struct run *run)
{
	bool late = false;
	bool orderly = run->phase == RUN_FINISHED || run->phase == RUN_ENDED || run->phase == RUN_HALTED;
	uv_timer_t timer = {.data = &late};
	if (uv_timer_init(&run->ctl->loop, &timer))
		return;
	if (!orderly)
		(void)uv_timer_start(&timer, on_late, CLOSE_MS, 0);
	sink_turn(run->sink, orderly);
	while (!late && !run->broken && !run->ctl->interrupted &&
	       (!sink_is_written(run->sink) || !results_read_is_taken(run->read)))
		(void)uv_run(&run->ctl->loop, UV_RUN_ONCE);
	timer.data = &late;
	uv_close((uv_handle_t *)&timer, on_closed);
	while (timer.data)
		(void)uv_run(&run->ctl->loop, UV_RUN_NOWAIT);
}

/* A hub that has forgotten the task, or where somebody else has ended it, has done what was wanted. */
static void tell_hub(struct run *run, const char *after, json_t *body)
{
	struct err err = {0};
	AUTO_FREE char *path = hub_path("/api/tasks/", run->name, after);
	if (!path) {
		json_decref(body);
		return;
	}
	int rc = hub_post(run->ctl, path, body, NULL, NULL, &err);
	run->hub_knows = !rc || rc == ERR_STATE || rc == ERR_NOT_FOUND || rc == ERR_EXISTS;
	if (!run->hub_knows)
		ctl_error(run->ctl, "the task \"%s\" is still at the hub: %s", run->name, err.text);
}

static void leave_state(struct run *run)
{
	if (run->output->keep_order && run->sink)
		run_save_order(run);
	run_state_save(&run->state);
}

/* A task that nobody has given anything would wait for ever, and others behind it. */
static void give_up(struct run *run)
{
	run->ctl->retry_for_ms = RETRY_FOR_MS;
	tell_hub(run, "/cancel", json_pack("{s:b}", "purge", 1));
	if (run->hub_knows)
		run_state_remove(&run->state);
	else
		leave_state(run);
}

static void end_task(struct run *run)
{
	switch (run->phase) {
	case RUN_FINISHED:
		if (run->output->no_finish) {
			leave_state(run); /* attach brings what a retry gives */
			break;
		}
		tell_hub(run, "/finish", NULL);
		run_state_remove(&run->state);
		break;
	case RUN_CANCELLED:
	case RUN_HALTED:
		run->ctl->retry_for_ms = RETRY_FOR_MS;
		tell_hub(run, "/cancel", json_pack("{s:b}", "purge", 1));
		run_state_remove(&run->state);
		break;
	case RUN_ENDED:
		run_state_remove(&run->state);
		break;
	case RUN_FAILED:
		if (run->given_up) {
			give_up(run);
			break;
		}
		leave_state(run);
		break;
	case RUN_LEFT:
		leave_state(run);
		break;
	case RUN_WORKING:
	case RUN_HALTING:
		break;
	}
}

static int begin(struct run *run, struct err *err)
{
	int rc = run_signals_begin(run) || run_look_begin(run) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
	if (!rc)
		rc = run_results_begin(run, 0, err);
	if (!rc)
		rc = begin_push(run, err);
	return rc;
}

/* What still has handles on the loop lets go of them. */
static void close_all(struct run *run)
{
	items_push_free(steal(run->push));
	hub_call_cancel(steal(run->pause_call));
	results_read_free(steal(run->read));
	sink_close(steal(run->sink));
	run_look_end(run);
	run_signals_end(run);
	while (run->timer_open || run->signal_count > 0)
		(void)uv_run(&run->ctl->loop, UV_RUN_NOWAIT);
}

int run_flow(struct run *run)
{
	struct err err = {0};
	run->begun_ms = clock_monotonic_ms();
	live_line_init(&run->live, run->ctl, run->ctl->globals.quiet && !run->output->bar);
	if (run->output->bar)
		run->live.say_every_ms = BAR_SAY_EVERY_MS;
	run->ctl->retry_for_ms = RETRY_FOR_EVER_MS; /* from here on the hub is waited for */
	if (begin(run, &err)) {
		run->given_up = !run->attached;
		run_fail(run, &err);
	} else {
		run_results_more(run);
	}
	while (!run->over)
		(void)uv_run(&run->ctl->loop, UV_RUN_ONCE);
	items_push_free(steal(run->push));
	if (run->sink && run->read)
		settle(run);
	end_task(run);
	live_line_done(&run->live);
	int status = run_report(run);
	close_all(run);
	return status;
}
