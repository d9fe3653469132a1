/* `gridctl watch`: a task's progress, drawn again and again until it has ended. Owns what is asked once a second, and the picture;
 * changes nothing. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/progress_line.h"
#include "ctl/show.h"
#include "ctl/shown.h"
#include "ctl/task_view.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

extern const struct command COMMAND_WATCH;

enum {
	LOOK_EVERY_MS = 1000,
	SAY_EVERY_MS = 5000,
	NODES_SHOWN = 12,
	FAILURES_SHOWN = 3,
	PICTURE_MAX = 64 * 1024,
	NAME_WIDTH = 24,
};

struct watch {
	struct ctl *ctl;
	const char *task;
	struct task_view view;
	json_t *nodes;       /* the hub's listing */
	json_t *failures;    /* the last ones; NULL where the hub does not tell */
	int64_t online, busy;
	int lines;           /* of the picture that stands on the terminal */
	int64_t said_ms;
};

/* ---- asking ---- */

static int look_at_nodes(struct watch *watch, struct err *err)
{
	json_t *node;
	size_t i;
	json_decref(steal(watch->nodes));
	int rc = hub_get(watch->ctl, "/api/nodes", NULL, &watch->nodes, err);
	watch->online = watch->busy = 0;
	json_array_foreach(watch->nodes, i, node) {
		if (strcmp(show_text(node, "status"), "Online") != 0)
			continue;
		watch->online++;
		watch->busy += show_integer(node, "active_containers");
	}
	return rc;
}

static void look_at_failures(struct watch *watch)
{
	struct err err;
	char after[32];
	(void)snprintf(after, sizeof(after), "/failures?max=%d", FAILURES_SHOWN);
	AUTO_FREE char *path = hub_path("/api/tasks/", watch->task, after);
	json_decref(steal(watch->failures));
	if (path && hub_get(watch->ctl, path, NULL, &watch->failures, &err))
		watch->failures = NULL; /* an older hub has none */
}

static int look(struct watch *watch, struct err *err)
{
	AUTO_JSON json_t *task = NULL;
	AUTO_FREE char *path = hub_path("/api/tasks/", watch->task, "");
	int rc = path ? hub_get(watch->ctl, path, NULL, &task, err) : err_set(err, ERR_NOMEM, "out of memory");
	if (rc)
		return rc;
	task_view_read(&watch->view, task);
	rc = look_at_nodes(watch, err);
	if (!rc && watch->ctl->out.is_one)
		look_at_failures(watch);
	return rc;
}

/* ---- the picture ---- */

static void end_line(struct buf *picture, int *lines)
{
	(void)!buf_add(picture, "\x1b[K\n", 4);
	(*lines)++;
}

/* Cut to the terminal's width, so that no line takes two. */
static void add_text(struct buf *picture, const char *text, int width, int *lines)
{
	shown_add(picture, text, (size_t)width);
	end_line(picture, lines);
}

static struct progress_view progress_of(const struct watch *watch, char *state, size_t size)
{
	const struct task_view *view = &watch->view;
	return (struct progress_view){.name = watch->task,
				      .state = task_view_state(view, watch->online, state, size),
				      .total = view->numbers ? view->total : -1,
				      .done = view->done,
				      .failed = view->dead,
				      .rate = view->rate,
				      .nodes = -1};
}

static void add_nodes(struct watch *watch, struct buf *picture, int width, int *lines)
{
	json_t *node;
	size_t i;
	int shown = 0;
	json_array_foreach(watch->nodes, i, node) {
		char line[256];
		struct buf name;
		if (strcmp(show_text(node, "status"), "Online") != 0)
			continue;
		if (shown++ == NODES_SHOWN) {
			(void)snprintf(line, sizeof(line), "  … and %lld more", (long long)watch->online - NODES_SHOWN);
			add_text(picture, line, width, lines);
			break;
		}
		buf_init(&name, sizeof(line) / 2);
		shown_add(&name, show_text(node, "hostname"), NAME_WIDTH);
		const char *state = json_is_true(json_object_get(node, "draining")) ? "draining" : show_text(node, "runtime_status");
		const char *why = *show_text(node, "error") ? show_text(node, "error") : show_text(node, "idle_reason");
		(void)snprintf(line, sizeof(line), "  %s%*s  %2lld of %lld slots  %s%s%s", buf_text(&name),
			       NAME_WIDTH - (int)shown_width(buf_text(&name)), "", (long long)show_integer(node, "active_containers"),
			       (long long)show_integer(node, "cpu_count"), state, *why ? ": " : "", why);
		buf_done(&name);
		add_text(picture, line, width, lines);
	}
}

static void add_failures(struct watch *watch, struct buf *picture, int width, int *lines)
{
	json_t *failure;
	size_t i;
	json_array_foreach(watch->failures, i, failure) {
		char line[512];
		if (i == FAILURES_SHOWN)
			break;
		(void)snprintf(line, sizeof(line), "  %s%s  %s  (%s)", show_text(failure, "reason"),
			       json_is_true(json_object_get(failure, "dead")) ? ", for the last time" : "", show_text(failure, "item"),
			       show_text(failure, "hostname"));
		if (i == 0)
			add_text(picture, "Last failures", width, lines);
		add_text(picture, line, width, lines);
	}
}

static int draw(struct watch *watch)
{
	char state[256];
	char line[256];
	struct buf picture;
	int lines = 0;
	terminal_look(&watch->ctl->out, STDOUT_FILENO); /* it may have another width now */
	int width = watch->ctl->out.columns > 1 ? watch->ctl->out.columns - 1 : 1;
	const struct progress_view progress = progress_of(watch, state, sizeof(state));
	const struct task_view *view = &watch->view;
	buf_init(&picture, PICTURE_MAX);
	int rc = watch->lines ? buf_printf(&picture, "\x1b[%dA\r", watch->lines) : 0;
	if (!rc)
		rc = progress_line(&picture, &progress, width);
	end_line(&picture, &lines);
	(void)snprintf(line, sizeof(line), "%lld waiting  %lld in flight  %lld done  %lld failed", (long long)view->waiting,
		       (long long)view->leased, (long long)view->done, (long long)view->dead);
	add_text(&picture, view->numbers ? line : "", width, &lines);
	(void)snprintf(line, sizeof(line), "%lld node%s online, %lld container%s", (long long)watch->online,
		       watch->online == 1 ? "" : "s", (long long)watch->busy, watch->busy == 1 ? "" : "s");
	add_text(&picture, line, width, &lines);
	add_nodes(watch, &picture, width, &lines);
	add_failures(watch, &picture, width, &lines);
	if (!rc)
		rc = buf_add(&picture, "\x1b[J", 3); /* the picture before may have had more lines */
	watch->lines = lines;
	(void)fwrite(buf_text(&picture), 1, picture.len, stdout);
	buf_done(&picture);
	return rc ? CTL_FAILED : ctl_flush(watch->ctl);
}

static int say(struct watch *watch)
{
	char state[256];
	struct buf line;
	const struct progress_view progress = progress_of(watch, state, sizeof(state));
	int64_t now = clock_monotonic_ms();
	if (watch->said_ms && now - watch->said_ms < SAY_EVERY_MS && !watch->view.ended)
		return CTL_OK;
	watch->said_ms = now;
	buf_init(&line, PICTURE_MAX);
	int rc = progress_words(&line, &progress);
	if (!rc)
		printf("%s: %s, %lld node%s\n", watch->task, buf_text(&line), (long long)watch->online, watch->online == 1 ? "" : "s");
	buf_done(&line);
	return rc ? CTL_FAILED : ctl_flush(watch->ctl);
}

/* ---- the command ---- */

static int current_task(struct ctl *ctl, json_t **tasks, const char **name)
{
	struct err err = {0};
	if (hub_get(ctl, "/api/tasks", NULL, tasks, &err))
		return ctl_fail(ctl, &err);
	*name = json_string_value(json_object_get(*tasks, "current"));
	if (!*name)
		ctl_note(ctl, "no task is running");
	return CTL_OK;
}

static void on_timer(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* One look after the other, until the task has ended. */
static int watch_on(struct watch *watch, uv_timer_t *timer)
{
	struct err err = {0};
	for (;;) {
		bool over = false;
		if (look(watch, &err))
			return ctl_fail(watch->ctl, &err);
		watch->ctl->retry_for_ms = RETRY_FOR_EVER_MS;
		int status = watch->ctl->out.is_one ? draw(watch) : say(watch);
		if (status || watch->view.ended)
			return status;
		timer->data = &over;
		(void)uv_timer_start(timer, on_timer, LOOK_EVERY_MS, 0);
		if (ctl_wait(watch->ctl, &over, &err))
			return CTL_INTERRUPTED;
	}
}

static void on_closed(uv_handle_t *handle)
{
	handle->data = NULL;
}

static int watch_command(struct ctl *ctl, const struct command_call *call)
{
	AUTO_JSON json_t *tasks = NULL;
	struct watch watch = {.ctl = ctl, .task = call->operand_count ? call->operands[0] : NULL};
	uv_timer_t timer;
	int status = watch.task ? CTL_OK : current_task(ctl, &tasks, &watch.task);
	if (status || !watch.task)
		return status;
	if (uv_timer_init(&ctl->loop, &timer))
		return show_no_memory(ctl);
	status = watch_on(&watch, &timer);
	timer.data = &timer;
	uv_close((uv_handle_t *)&timer, on_closed);
	while (timer.data)
		(void)uv_run(&ctl->loop, UV_RUN_NOWAIT);
	json_decref(watch.nodes);
	json_decref(watch.failures);
	return status;
}

const struct command COMMAND_WATCH = {
	.name = "watch",
	.group = GROUP_WORK,
	.usage = "[TASK]",
	.purpose = "Show the progress of a task until it has ended",
	.help = "Without a name: of the one that runs. On a terminal the picture is drawn again in\n"
		"its place once a second; elsewhere there is a line every five seconds.",
	.max_operands = 1,
	.operand_hint = HINT_TASK,
	.run = watch_command,
};
