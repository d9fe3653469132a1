/* Owns the ways out before the end: Ctrl-C and its question, SIGTERM, --halt. Called by the loop, and after each change of the
 * counts; what then has to be done at the hub is run_flow.c's. */
#include "ctl/run/run_parts.h"

#include "base/cleanup.h"

#include <signal.h>

static const char QUESTION[] = "\nInterrupted: [k]eep it running at the hub, [c]ancel it, or [g]o on watching? ";

static void on_answer(void *context, char letter)
{
	struct run *run = context;
	run->question = NULL;
	if (letter == 'c')
		run_end(run, RUN_CANCELLED);
	else if (letter == 'k' || letter == '\0')
		run_end(run, RUN_LEFT);
	else if (letter != 'g')
		run->question = question_ask(&run->ctl->loop, "Please type k, c or g: ", on_answer, run);
	if (!run->over && !run->question && letter != 'g')
		run_end(run, RUN_LEFT);
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct run *run = handle->data;
	bool asks = number == SIGINT && !run->question && run->ctl->err.is_one && !run->over;
	if (run->over) {
		run->ctl->interrupted = true; /* it had its chance to end in order */
		return;
	}
	live_line_clear(&run->live);
	if (asks)
		run->question = question_ask(&run->ctl->loop, QUESTION, on_answer, run);
	if (!asks || !run->question)
		run_end(run, RUN_LEFT);
}

int run_signals_begin(struct run *run)
{
	static const int NUMBERS[] = {SIGINT, SIGTERM, SIGHUP};
	for (size_t i = 0; i < sizeof(NUMBERS) / sizeof(NUMBERS[0]); i++) {
		uv_signal_t *handle = &run->signals[i];
		handle->data = run;
		if (uv_signal_init(&run->ctl->loop, handle))
			return ERR_INTERNAL;
		run->signal_count++;
		if (uv_signal_start(handle, on_signal, NUMBERS[i]))
			return ERR_INTERNAL;
		uv_unref((uv_handle_t *)handle);
	}
	return 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;
	run->signal_count--;
}

void run_signals_end(struct run *run)
{
	question_close(steal(run->question));
	for (size_t i = 0; i < sizeof(run->signals) / sizeof(run->signals[0]); i++) {
		if (run->signals[i].data && !uv_is_closing((uv_handle_t *)&run->signals[i]))
			uv_close((uv_handle_t *)&run->signals[i], on_closed);
	}
}

/* ---- --halt ---- */

static void on_paused(void *context, const struct hub_answer *answer)
{
	struct run *run = context;
	run->pause_call = NULL;
	if (answer->err)
		run_end(run, RUN_HALTED); /* what runs is not waited for, then */
	else
		run->halt_serial = run->look.serial + 2; /* a look that began before may not know of it */
}

static void begin_soon(struct run *run)
{
	struct err err;
	AUTO_FREE char *path = hub_path("/api/tasks/", run->name, "/pause");
	const struct hub_request request = {.method = "POST", .path = path};
	run->phase = RUN_HALTING;
	items_push_free(steal(run->push));
	ctl_note(run->ctl, "--halt: nothing new is begun, what runs may end");
	run->pause_call = path ? hub_call_start(run->ctl, &request, on_paused, run, &err) : NULL;
	if (!run->pause_call)
		run_end(run, RUN_HALTED);
}

void run_halt_look(struct run *run)
{
	if (run->over)
		return;
	if (run->phase == RUN_HALTING) {
		bool rests = run->look.numbers && run->look.leased == 0 && run->halt_serial && run->look.serial >= run->halt_serial;
		if (rests)
			run_results_hurry(run, run->halt_serial);
		if (rests && run->page_empty && run->page_serial >= run->halt_serial)
			run_end(run, RUN_HALTED);
		return;
	}
	switch (halt_decide(&run->halt, run->tracker.finished_count, run->tracker.failed_count)) {
	case HALT_NEVER:
		break;
	case HALT_SOON:
		begin_soon(run);
		break;
	case HALT_NOW:
		ctl_note(run->ctl, "--halt: what runs is cancelled");
		run_end(run, RUN_HALTED);
		break;
	}
}
