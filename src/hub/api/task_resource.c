/* Owns the calls under /api/tasks. Called by the dispatcher; decides nothing itself, the queue does. */
#include "base/cleanup.h"
#include "base/log.h"
#include "hub/api/handlers.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <string.h>

static const char *name_of(const struct task *task)
{
	return task ? task->spec.name : NULL;
}

void handle_task_add(struct api_call *call)
{
	struct task_spec spec;
	const struct task *added = NULL;
	struct err err = {0};
	int rc = task_spec_parse(call->body, &spec, &err);
	if (!rc)
		rc = tasks_add(call->hub->tasks, &spec, hub_now().wall_ms, &added, &err);
	if (rc) {
		reply_err(call->request, &err);
	} else {
		log_info(NULL, "task \"%s\" registered, %s", added->spec.name, task_status_name(added->status));
		reply_json(call->request, HTTP_CREATED, task_to_json(added));
	}
	task_spec_done(&spec);
}

/* Appends the tasks of a list to an array of names and to the array of details. */
static bool add_tasks(json_t *names, json_t *details, const struct task *task)
{
	for (; task; task = task->next) {
		if (names && json_array_append_new(names, json_string(task->spec.name)))
			return false;
		if (json_array_append_new(details, task_to_json(task)))
			return false;
	}
	return true;
}

void handle_task_list(struct api_call *call)
{
	const struct tasks *tasks = call->hub->tasks;
	AUTO_JSON json_t *pending = json_array();
	AUTO_JSON json_t *completed = json_array();
	AUTO_JSON json_t *details = json_array();
	const struct task *current = tasks_current(tasks);
	bool ok = pending && completed && details && add_tasks(NULL, details, current) &&
		  add_tasks(pending, details, tasks_pending(tasks)) &&
		  add_tasks(completed, details, tasks_completed(tasks));
	reply_json(call->request, HTTP_OK,
		   ok ? json_pack("{s:s?, s:O, s:O, s:O}", "current", name_of(current), "pending", pending, "completed",
				  completed, "tasks", details)
		      : NULL);
}

void handle_task_get(struct api_call *call)
{
	const struct task *task = tasks_find(call->hub->tasks, call->param);
	struct err err;
	if (task) {
		reply_json(call->request, HTTP_OK, task_to_json(task));
		return;
	}
	(void)err_set(&err, ERR_NOT_FOUND, "there is no task named \"%.128s\"", call->param);
	reply_err(call->request, &err);
}

void handle_task_delete(struct api_call *call)
{
	struct err err = {0};
	if (tasks_delete(call->hub->tasks, call->param, &err)) {
		reply_err(call->request, &err);
		return;
	}
	log_info(NULL, "task \"%s\" deleted", call->param);
	reply_json(call->request, HTTP_OK, json_pack("{s:s}", "deleted", call->param));
}

/* "There is nothing to switch to" is a state of its own, told apart from a bad request by its code. */
static void reply_refusal(struct api_call *call, const struct err *err, const char *state_code)
{
	if (err->code == ERR_STATE)
		reply_error(call->request, HTTP_BAD_REQUEST, state_code, err->text);
	else
		reply_err(call->request, err);
}

void handle_task_next(struct api_call *call)
{
	struct tasks *tasks = call->hub->tasks;
	const struct task *previous = NULL;
	struct err err = {0};
	if (tasks_next(tasks, hub_now().wall_ms, &previous, &err)) {
		reply_refusal(call, &err, "no_task_waiting");
		return;
	}
	reply_json(call->request, HTTP_OK,
		   json_pack("{s:s?, s:s}", "previous", name_of(previous), "current", name_of(tasks_current(tasks))));
}

void handle_task_finish(struct api_call *call)
{
	struct tasks *tasks = call->hub->tasks;
	const struct task *completed = NULL;
	struct err err = {0};
	if (tasks_finish(tasks, hub_now().wall_ms, &completed, &err)) {
		reply_refusal(call, &err, "no_task_running");
		return;
	}
	const char *started = name_of(tasks_current(tasks));
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
