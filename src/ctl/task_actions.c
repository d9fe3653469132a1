/* Owns the commands that move tasks on: next, finish, cancel, pause, resume. Called through the table; the hub decides whether it
 * may be. */
#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/show.h"

#include <stdint.h>
#include <string.h>

extern const struct command COMMAND_NEXT;
extern const struct command COMMAND_FINISH;
extern const struct command COMMAND_CANCEL;
extern const struct command COMMAND_PAUSE;
extern const struct command COMMAND_RESUME;

/* The answer as JSON, else a line. Takes the answer over. */
static int report(struct ctl *ctl, json_t *answer, const char *name, const char *outcome)
{
	AUTO_JSON json_t *owned = answer;
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(owned));
	ctl_note(ctl, "\"%s\" %s", name, outcome);
	return CTL_OK;
}

/* One call for each name; all are tried. The first failure's exit status. */
static int for_each(struct ctl *ctl, const struct command_call *call, const char *after, json_t *body, const char *needs,
		    const char *outcome)
{
	AUTO_JSON json_t *owned = body;
	int exit_code = CTL_OK;
	for (size_t i = 0; i < call->operand_count; i++) {
		AUTO_FREE char *path = hub_path("/api/tasks/", call->operands[i], after);
		json_t *answer = NULL;
		struct err err = {0};
		if (!path)
			return show_no_memory(ctl);
		int one = hub_post(ctl, path, json_incref(owned), needs, &answer, &err) ? ctl_fail(ctl, &err)
										       : report(ctl, answer, call->operands[i], outcome);
		exit_code = exit_code ? exit_code : one;
		if (one == CTL_UNREACHABLE || one == CTL_DENIED || one == CTL_INTERRUPTED)
			break; /* it would be the same for the others */
	}
	return exit_code;
}

static int run_next(struct ctl *ctl, const struct command_call *call)
{
	(void)call;
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	if (hub_post(ctl, "/api/tasks/next", NULL, NULL, &answer, &err))
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	if (*show_text(answer, "previous"))
		ctl_note(ctl, "\"%s\" is completed; \"%s\" has started", show_text(answer, "previous"), show_text(answer, "current"));
	else
		ctl_note(ctl, "\"%s\" has started", show_text(answer, "current"));
	return CTL_OK;
}

const struct command COMMAND_NEXT = {
	.name = "next",
	.group = GROUP_TASKS,
	.usage = "",
	.purpose = "Complete the running task and start the next one",
	.help = "Where no task waits nothing changes, and it fails.\n",
	.run = run_next,
};

static int run_finish(struct ctl *ctl, const struct command_call *call)
{
	AUTO_FREE char *path = call->operand_count > 0 ? hub_path("/api/tasks/", call->operands[0], "/finish") : strdup("/api/tasks/finish");
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	if (!path)
		return show_no_memory(ctl);
	if (hub_post(ctl, path, NULL, "finishing a task by its name", &answer, &err))
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	ctl_note(ctl, "%s", show_text(answer, "message"));
	return CTL_OK;
}

const struct command COMMAND_FINISH = {
	.name = "finish",
	.group = GROUP_TASKS,
	.usage = "[NAME]",
	.purpose = "Complete the running task",
	.help = "The next one starts, if one waits. With a name only that task is completed, and only\n"
		"if it is the one that runs: so a script that is late completes no other.\n"
		"Items that are with nodes are finished and their results kept.\n",
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = run_finish,
};

struct cancel_options {
	bool purge;
};

static int run_cancel(struct ctl *ctl, const struct command_call *call)
{
	const struct cancel_options *options = call->options;
	json_t *body = json_pack("{s:b}", "purge", (int)options->purge);
	if (!body)
		return show_no_memory(ctl);
	return for_each(ctl, call, "/cancel", body, "cancelling tasks",
			options->purge ? "is cancelled; its items, dead letters and results are dropped" : "is cancelled");
}

static const struct option_row CANCEL_ROWS[] = {
	{.name = "purge", .type = OPTION_FLAG, .offset = offsetof(struct cancel_options, purge),
	 .help = "drop what waits in its input queue, its dead letters and its results too"},
};
static const struct option_table CANCEL_OPTIONS = {CANCEL_ROWS, sizeof(CANCEL_ROWS) / sizeof(CANCEL_ROWS[0])};

const struct command COMMAND_CANCEL = {
	.name = "cancel",
	.group = GROUP_TASKS,
	.usage = "NAME... [--purge]",
	.purpose = "End a task that waits or runs, without completing it",
	.help = "Its status becomes \"cancelled\". Without --purge what is in its queues stays there,\n"
		"and a new task with the same queues goes on with it.\n",
	.options = &CANCEL_OPTIONS,
	.options_size = sizeof(struct cancel_options),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = run_cancel,
};

static int run_pause(struct ctl *ctl, const struct command_call *call)
{
	return for_each(ctl, call, "/pause", NULL, "pausing tasks", "is paused; nodes finish the items that they have begun");
}

const struct command COMMAND_PAUSE = {
	.name = "pause",
	.group = GROUP_TASKS,
	.usage = "NAME...",
	.purpose = "Give out no more items of a running task",
	.help = "Nodes finish what they have begun. It lasts until 'gridctl resume', also over a\n"
		"restart of the hub.\n",
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = run_pause,
};

static int run_resume(struct ctl *ctl, const struct command_call *call)
{
	return for_each(ctl, call, "/resume", NULL, "pausing tasks", "goes on");
}

const struct command COMMAND_RESUME = {
	.name = "resume",
	.group = GROUP_TASKS,
	.usage = "NAME...",
	.purpose = "Give out items of a paused task again",
	.help = "",
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = run_resume,
};
