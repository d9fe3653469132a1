/* `gridctl wait`: until a task is through. Called through the table; asks once a second, and changes nothing. */
#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/show.h"
#include "ctl/task_view.h"

#include <stddef.h>
#include <string.h>

extern const struct command COMMAND_WAIT;

enum { LOOK_EVERY_MS = 1000, IDLE_LOOKS = 2 };

struct wait_options {
	bool ended;
	int64_t timeout_ms;
};

static void on_timer(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

static int look(struct ctl *ctl, const char *name, struct task_view *view, struct err *err)
{
	AUTO_JSON json_t *task = NULL;
	AUTO_FREE char *path = hub_path("/api/tasks/", name, "");
	int rc = path ? hub_get(ctl, path, NULL, &task, err) : err_set(err, ERR_NOMEM, "out of memory");
	if (!rc)
		task_view_read(view, task);
	return rc;
}

/* An item that is just being pushed, or given back, may be in no count for a moment: twice in a row is idle. */
static int wait_for_it(struct ctl *ctl, const char *name, const struct wait_options *options, uv_timer_t *timer)
{
	struct task_view view;
	struct err err = {0};
	int idle = 0;
	for (int64_t waited_ms = 0;; waited_ms += LOOK_EVERY_MS) {
		bool over = false;
		if (look(ctl, name, &view, &err))
			return ctl_fail(ctl, &err);
		ctl->retry_for_ms = RETRY_FOR_EVER_MS;
		idle = task_view_is_idle(&view) ? idle + 1 : 0;
		if (view.ended || (!options->ended && idle >= IDLE_LOOKS))
			break;
		if (options->timeout_ms && waited_ms >= options->timeout_ms) {
			ctl_error(ctl, "%s is not through yet: %lld waiting, %lld in flight", name, (long long)view.waiting,
				  (long long)view.leased);
			return CTL_FAILED;
		}
		timer->data = &over;
		(void)uv_timer_start(timer, on_timer, LOOK_EVERY_MS, 0);
		if (ctl_wait(ctl, &over, &err))
			return CTL_INTERRUPTED;
	}
	if (view.dead)
		ctl_error(ctl, "%lld item%s failed; more about them:  gridctl dead list %s", (long long)view.dead,
			  view.dead == 1 ? "" : "s", name);
	return task_view_exit_status(&view);
}

static void on_closed(uv_handle_t *handle)
{
	handle->data = NULL;
}

static int wait_command(struct ctl *ctl, const struct command_call *call)
{
	uv_timer_t timer;
	if (uv_timer_init(&ctl->loop, &timer))
		return show_no_memory(ctl);
	int status = wait_for_it(ctl, call->operands[0], call->options, &timer);
	timer.data = &timer;
	uv_close((uv_handle_t *)&timer, on_closed);
	while (timer.data)
		(void)uv_run(&ctl->loop, UV_RUN_NOWAIT);
	return status;
}

static const struct option_row ROWS[] = {
	{.name = "ended", .type = OPTION_FLAG, .offset = offsetof(struct wait_options, ended),
	 .help = "until the task has been finished or cancelled, not only until no item is left"},
	{.name = "timeout", .type = OPTION_SECONDS, .offset = offsetof(struct wait_options, timeout_ms), .argument = "TIME", .min = 1,
	 .max = INT64_C(1000) * 60 * 60 * 24 * 365, .help = "give up after that, with status 1"},
};
static const struct option_table OPTIONS = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};
static const struct wait_options DEFAULTS;

const struct command COMMAND_WAIT = {
	.name = "wait",
	.group = GROUP_WORK,
	.usage = "TASK [OPTIONS]",
	.purpose = "Wait until all items of a task have ended",
	.help = "Exit status: the number of failed items, up to 100; 101 for more.",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(DEFAULTS),
	.min_operands = 1,
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = wait_command,
};
