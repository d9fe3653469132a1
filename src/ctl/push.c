/* `gridctl push`: items into a task, from files or standard input. Owns the command's course; the pushing itself is items_push.c's. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/items_push.h"
#include "ctl/live_line.h"
#include "ctl/progress_line.h"
#include "ctl/rate.h"

#include <stddef.h>
#include <string.h>

extern const struct command COMMAND_PUSH;

enum { TEMPORARY_FAILURE = 75 }; /* EX_TEMPFAIL of sysexits.h */

struct push_options {
	const char *push;
	bool nul, whole, no_wait;
};

struct push {
	struct ctl *ctl;
	struct item_source *source;
	struct items_push *items;
	int64_t skip;             /* items that the hub has already */
	int64_t skipped;
	struct live_line live;
	struct rate rate;
	bool done, failed;
	struct err err;
};

static int next(void *context, struct item *item, enum item_got *got, struct err *err)
{
	struct push *push = context;
	int rc = item_source_next(push->source, item, got, err);
	while (!rc && *got == ITEM_READY && push->skipped < push->skip) {
		push->skipped++;
		rc = item_source_next(push->source, item, got, err);
	}
	return rc;
}

static void on_ready(void *context)
{
	struct push *push = context;
	items_push_ready(push->items);
}

static void on_progress(void *context, int64_t items)
{
	struct push *push = context;
	int64_t now = clock_monotonic_ms();
	rate_note(&push->rate, now, items);
	const struct progress_view view = {
		.name = "push", .total = -1, .done = items, .rate = rate_per_second(&push->rate, now), .nodes = -1};
	live_line_show(&push->live, &view, now);
}

static void on_done(void *context, const struct err *err)
{
	struct push *push = context;
	push->done = true;
	push->failed = err != NULL;
	if (err)
		push->err = *err;
}

static int tell_end(struct push *push, const char *task, const char *id, const struct push_options *options)
{
	struct ctl *ctl = push->ctl;
	int64_t count = items_push_count(push->items);
	if (!push->failed && push->skipped < push->skip) {
		ctl_error(ctl, "the hub has %lld items of push %s, and here are only %lld: is it the same input?", (long long)push->skip,
			  id, (long long)push->skipped);
		return CTL_FAILED;
	}
	if (!push->failed) {
		ctl_note(ctl, "%lld item%s pushed to %s", (long long)(count - push->skip), count - push->skip == 1 ? "" : "s", task);
		return CTL_OK;
	}
	int status = ctl_fail(ctl, &push->err);
	if (count > 0)
		ctl_error(ctl, "%lld items are in; with the same input, this pushes the rest:  gridctl push %s --push %s",
			  (long long)count, task, id);
	bool may_pass = push->err.code == ERR_UNREACHABLE || push->err.code == ERR_NO_SPACE;
	return options->no_wait && may_pass ? TEMPORARY_FAILURE : status;
}

static int push_all(struct push *push, const char *task, const char *id, const struct push_options *options)
{
	struct err err = {0};
	const struct items_push_options how = {.task = task,
					       .id = id,
					       .from = push->skip,
					       .no_wait = options->no_wait,
					       .context = push,
					       .next = next,
					       .on_progress = on_progress,
					       .on_done = on_done};
	item_source_listen(push->source, on_ready, push);
	push->items = items_push_new(push->ctl, &how, &err);
	if (!push->items)
		return ctl_fail(push->ctl, &err);
	if (options->no_wait)
		push->ctl->retry_for_ms = 0;
	else if (push->ctl->globals.retry_for_ms < 0)
		push->ctl->retry_for_ms = RETRY_FOR_EVER_MS;
	live_line_init(&push->live, push->ctl, push->ctl->globals.quiet);
	if (ctl_wait(push->ctl, &push->done, &err))
		on_done(push, &err);
	live_line_done(&push->live);
	int status = tell_end(push, task, id, options);
	items_push_free(push->items);
	return status;
}

static int push_command(struct ctl *ctl, const struct command_call *call)
{
	const struct push_options *options = call->options;
	const char *task = call->operands[0];
	char id[PUSH_ID_SIZE];
	struct err err = {0};
	struct push push = {.ctl = ctl};
	if (options->whole && options->nul)
		return ctl_usage(ctl, call->command, "--whole and -0: which?");
	if (options->push && !items_push_id_is_valid(options->push))
		return ctl_usage(ctl, call->command, "--push must be 1 to 64 of letters, digits, '-' and '_'");
	items_push_draw_id(id);
	if (options->push)
		(void)snprintf(id, sizeof(id), "%s", options->push);
	if (items_push_ask(ctl, task, id, &push.skip, &err))
		return ctl_fail(ctl, &err);
	if (push.skip)
		ctl_note(ctl, "the hub has %lld items of push %s: they are passed over", (long long)push.skip, id);
	else
		ctl_note(ctl, "push id: %s", id);
	push.source = item_stream_new(&ctl->loop, call->operands + 1, call->operand_count - 1,
				      options->whole ? ITEM_END_NONE
				      : options->nul ? ITEM_END_NUL
						     : ITEM_END_NEWLINE);
	if (!push.source) {
		ctl_error(ctl, "out of memory");
		return CTL_FAILED;
	}
	int status = push_all(&push, task, id, options);
	item_source_free(push.source);
	return status;
}

static const struct option_row ROWS[] = {
	{.name = "null", .letter = '0', .type = OPTION_FLAG, .offset = offsetof(struct push_options, nul),
	 .help = "items end with NUL instead of a newline"},
	{.name = "whole", .type = OPTION_FLAG, .offset = offsetof(struct push_options, whole),
	 .help = "every FILE is one item, whatever is in it"},
	{.name = "push", .type = OPTION_TEXT, .offset = offsetof(struct push_options, push), .argument = "ID",
	 .help = "go on with a push that was cut: give the same input again, and what the hub has of\nit is passed over"},
	{.name = "no-wait", .type = OPTION_FLAG, .offset = offsetof(struct push_options, no_wait),
	 .help = "end with status 75 where Redis is full or the hub away, instead of waiting"},
};
static const struct option_table OPTIONS = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};
static const struct push_options DEFAULTS;

const struct command COMMAND_PUSH = {
	.name = "push",
	.group = GROUP_WORK,
	.usage = "TASK [FILE…] [OPTIONS]",
	.purpose = "Push items into a task",
	.help = "Items are the lines of the files, or of standard input. Any amount: they are\n"
		"pushed in pieces, each counted at the hub, so that a push that was cut goes on\n"
		"with --push ID where it stood, and repeats nothing.",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(DEFAULTS),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_TASK,
	.run = push_command,
};
