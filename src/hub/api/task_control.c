/* Owns the calls by which a person ends, pauses and looks into one task: /api/tasks/finish and /api/tasks/{name}/finish, cancel, pause,
 * resume, failures. Called by the dispatcher; decides nothing itself, the queue of tasks does. */
#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "hub/api/handlers.h"
#include "hub/api/node_plane.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <stdio.h>

static const char *current_name(const struct api_call *call)
{
	const struct task *current = tasks_current(call->hub->tasks);
	return current ? current->spec.name : NULL;
}

/* "Not in this state" is a conflict for a call that names its task. */
static void reply_refusal(struct api_call *call, const struct err *err)
{
	if (err->code == ERR_STATE)
		reply_error(call->request, HTTP_CONFLICT, "bad_state", err->text);
	else
		reply_err(call->request, err);
}

/* ---- finish ---- */

static void reply_finished(struct api_call *call, const struct task *completed)
{
	const char *started = current_name(call);
	char message[2 * LIMIT_TASK_NAME + 128];
	if (started)
		(void)snprintf(message, sizeof(message), "\"%s\" is completed; \"%s\" has started", completed->spec.name,
			       started);
	else
		(void)snprintf(message, sizeof(message), "\"%s\" is completed; no task is waiting, nodes stop their containers",
			       completed->spec.name);
	reply_json(call->request, HTTP_OK,
		   json_pack("{s:s, s:s?, s:s}", "completed", completed->spec.name, "started", started, "message", message));
}

void handle_task_finish(struct api_call *call)
{
	const struct task *completed = NULL;
	struct err err = {0};
	int rc = tasks_finish(call->hub->tasks, hub_now().wall_ms, &completed, &err);
	if (rc && err.code == ERR_STATE)
		reply_error(call->request, HTTP_BAD_REQUEST, "no_task_running", err.text);
	else if (rc)
		reply_err(call->request, &err);
	else
		reply_finished(call, completed);
}

void handle_task_finish_named(struct api_call *call)
{
	const struct task *completed = NULL;
	struct err err = {0};
	if (tasks_finish_named(call->hub->tasks, call->param, hub_now().wall_ms, &completed, &err))
		reply_refusal(call, &err);
	else
		reply_finished(call, completed);
}

/* ---- cancel ---- */

/* {"purge"?}, or no body at all. */
static int read_purge(const struct api_call *call, bool *purge, struct err *err)
{
	AUTO_JSON json_t *body = NULL;
	const struct json_field fields[] = {{.name = "purge", .type = JSON_FIELD_BOOLEAN, .into = purge}};
	*purge = false;
	if (call->request->body_len == 0)
		return 0;
	int rc = json_parse_object(call->request->body, call->request->body_len, &body, err);
	return rc ? rc : json_read_fields(body, fields, 1, true, err);
}

static const struct task *find_sharer(const struct hub *hub, const struct task *task, const struct task *list)
{
	for (; list; list = list->next) {
		bool may_use_it = !task_has_ended(list) || (list->spec.delivery == DELIVERY_LEASED && !list->settled);
		if (list != task && may_use_it && broker_shares(hub->broker, &task->spec, &list->spec))
			return list;
	}
	return NULL;
}

/* What is purged must be this task's alone: nobody else's items or results may lie in its queues. */
static int check_purge(const struct hub *hub, const struct task *task, struct err *err)
{
	if (task->spec.delivery != DELIVERY_LEASED)
		return err_set(err, ERR_INVALID, "the task \"%s\" is direct: the hub does not touch its queues", task->spec.name);
	const struct task *sharer = find_sharer(hub, task, tasks_current(hub->tasks));
	if (!sharer)
		sharer = find_sharer(hub, task, tasks_pending(hub->tasks));
	if (!sharer)
		sharer = find_sharer(hub, task, tasks_completed(hub->tasks));
	if (!sharer)
		return 0;
	return err_set(err, ERR_EXISTS, "\"%s\" uses a queue of \"%s\" too, and what lies there may be its own; cancel without purge",
		       sharer->spec.name, task->spec.name);
}

void handle_task_cancel(struct api_call *call)
{
	struct tasks *tasks = call->hub->tasks;
	const struct task *task = tasks_find(tasks, call->param);
	bool ran = task && task == tasks_current(tasks);
	bool purge = false;
	struct err err = {0};
	int rc = read_purge(call, &purge, &err);
	if (!rc && purge && task && !task_has_ended(task))
		rc = check_purge(call->hub, task, &err);
	if (!rc)
		rc = tasks_cancel(tasks, call->param, purge, hub_now().wall_ms, &task, &err);
	if (rc) {
		reply_refusal(call, &err);
		return;
	}
	log_info(NULL, "task \"%s\" is cancelled%s", call->param, purge ? ", and what is left of it will be dropped" : "");
	reply_json(call->request, HTTP_OK,
		   json_pack("{s:s, s:s?, s:b}", "cancelled", call->param, "started", ran ? current_name(call) : NULL, "purge", (int)purge));
}

/* ---- pause and resume ---- */

static void set_paused(struct api_call *call, bool paused)
{
	const struct task *task = NULL;
	struct err err = {0};
	if (tasks_set_paused(call->hub->tasks, call->param, paused, &task, &err)) {
		reply_refusal(call, &err);
		return;
	}
	log_info(NULL, "task \"%s\" %s", call->param, paused ? "is paused: no items are given" : "goes on");
	reply_json(call->request, HTTP_OK, json_pack("{s:s, s:b}", "name", call->param, "paused", (int)paused));
}

void handle_task_pause(struct api_call *call)
{
	set_paused(call, true);
}

void handle_task_resume(struct api_call *call)
{
	set_paused(call, false);
}

/* ---- failures ---- */

void handle_task_failures(struct api_call *call)
{
	const struct task *task = tasks_find(call->hub->tasks, call->param);
	int64_t most = node_plane_number(call->request, "max");
	struct err err = {0};
	int rc = 0;
	if (most == -2 || most == 0 || most > FAILURES_KEPT)
		rc = err_set(&err, ERR_INVALID, "max must be a number from 1 to %d", FAILURES_KEPT);
	else if (!task)
		rc = err_set(&err, ERR_NOT_FOUND, "there is no task named \"%.128s\"", call->param);
	else if (task->spec.delivery != DELIVERY_LEASED)
		rc = err_set(&err, ERR_STATE, "task \"%s\" is direct: the hub knows nothing of its items", task->spec.name);
	if (rc || !task)
		reply_err(call->request, &err);
	else
		reply_json(call->request, HTTP_OK, failures_last(task->failures, most < 0 ? FAILURES_KEPT : (size_t)most));
}
