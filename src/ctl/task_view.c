/* Owns the reading of a task's details. Called by watch and wait; asks nobody. */
#include "ctl/task_view.h"

#include "base/text.h"
#include "ctl/show.h"

#include <stdio.h>
#include <string.h>

enum { FAILED_MOST = 100, FAILED_MORE = 101 };

void task_view_read(struct task_view *view, json_t *task)
{
	json_t *progress = json_object_get(task, "progress");
	*view = (struct task_view){.numbers = json_is_integer(json_object_get(progress, "done"))};
	text_copy(view->name, sizeof(view->name), show_text(task, "name"));
	text_copy(view->status, sizeof(view->status), show_text(task, "status"));
	text_copy(view->blocked, sizeof(view->blocked), show_text(progress, "blocked"));
	view->paused = json_is_true(json_object_get(task, "paused"));
	view->ended = strcmp(view->status, "completed") == 0 || strcmp(view->status, "cancelled") == 0;
	view->waiting = show_integer(progress, "waiting");
	view->leased = show_integer(progress, "leased");
	view->done = show_integer(progress, "done");
	view->dead = show_integer(progress, "dead");
	view->total = show_integer(progress, "total");
	view->rate = show_number(progress, "rate");
}

bool task_view_is_idle(const struct task_view *view)
{
	return view->numbers && view->waiting == 0 && view->leased == 0 && view->done + view->dead > 0;
}

int task_view_exit_status(const struct task_view *view)
{
	return view->dead > FAILED_MOST ? FAILED_MORE : (int)view->dead;
}

const char *task_view_state(const struct task_view *view, int64_t nodes, char *into, size_t size)
{
	if (view->ended || strcmp(view->status, "pending") == 0)
		(void)snprintf(into, size, "%s", view->ended ? view->status : "waits for its turn");
	else if (*view->blocked)
		(void)snprintf(into, size, "blocked: %s", view->blocked);
	else if (view->paused)
		(void)snprintf(into, size, "paused");
	else if (nodes == 0)
		(void)snprintf(into, size, "no node is online");
	else
		return NULL;
	return into;
}
