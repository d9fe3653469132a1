/* Owns the calls under /api/tasks. Called by the dispatcher; decides nothing itself, the queue does. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "hub/api/handlers.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <string.h>

enum { LISTING_MAX = 512 * 1024 * 1024 };

static const char *name_of(const struct task *task)
{
	return task ? task->spec.name : NULL;
}

/* The details as they are kept, and the progress as it is now. */
static int add_task(struct buf *text, const struct hub *hub, const struct task *task)
{
	const struct queue *queue = broker_queue(hub->broker, task->id);
	if (!task->details)
		return ERR_NOMEM;
	if (!queue)
		return buf_add(text, task->details, strlen(task->details));
	AUTO_JSON json_t *progress = queue_progress_json(queue);
	AUTO_FREE char *dumped = progress ? json_dumps(progress, JSON_COMPACT) : NULL;
	if (!dumped)
		return ERR_NOMEM;
	int rc = buf_add(text, task->details, strlen(task->details) - 1); /* without its closing brace */
	return rc ? rc : buf_printf(text, ",\"progress\":%s}", dumped);
}

static void reply_details(struct api_call *call, unsigned status, const struct task *task)
{
	struct buf line;
	buf_init(&line, LISTING_MAX);
	bool ok = add_task(&line, call->hub, task) == 0 && buf_add(&line, "\n", 1) == 0;
	reply_json_text(call->request, status, ok ? buf_steal(&line) : NULL);
	buf_done(&line);
}

void handle_task_add(struct api_call *call)
{
	struct task_spec spec;
	const struct task *added = NULL;
	struct err err = {0};
	int rc = task_spec_parse(call->body, &spec, &err);
	if (!rc && spec.delivery == DELIVERY_LEASED)
		rc = broker_check(call->hub->broker, &spec, &err);
	if (!rc)
		rc = broker_check_purges(call->hub->broker, &spec, &err);
	if (!rc)
		rc = tasks_add(call->hub->tasks, &spec, hub_now().wall_ms, &added, &err);
	if (rc) {
		reply_err(call->request, &err);
	} else {
		log_info(NULL, "task \"%s\" registered, %s", added->spec.name, task_status_name(added->status));
		reply_details(call, HTTP_CREATED, added);
	}
	task_spec_done(&spec);
}

static json_t *names_of(const struct task *task)
{
	json_t *names = json_array();
	for (; names && task; task = task->next) {
		if (json_array_append_new(names, json_string(task->spec.name))) {
			json_decref(names);
			return NULL;
		}
	}
	return names;
}

static int add_details(struct buf *text, const struct hub *hub, const struct task *task)
{
	int rc = 0;
	for (; task && !rc; task = task->next) {
		bool first = text->data[text->len - 1] == '[';
		if (!first)
			rc = buf_add(text, ",", 1);
		if (!rc)
			rc = add_task(text, hub, task);
	}
	return rc;
}

/* {"current", "pending", "completed", "tasks"}: the names as jansson writes them, the details as they are kept. */
static int form_listing(const struct hub *hub, struct buf *text)
{
	const struct tasks *tasks = hub->tasks;
	const struct task *current = tasks_current(tasks);
	AUTO_JSON json_t *names =
		json_pack("{s:s?, s:o, s:o}", "current", name_of(current), "pending", names_of(tasks_pending(tasks)),
			  "completed", names_of(tasks_completed(tasks)));
	AUTO_FREE char *head = names ? json_dumps(names, JSON_COMPACT) : NULL;
	if (!head)
		return ERR_NOMEM;
	int rc = buf_add(text, head, strlen(head) - 1); /* without its closing brace */
	if (!rc)
		rc = buf_printf(text, ",\"tasks\":[");
	if (!rc)
		rc = add_details(text, hub, current);
	if (!rc)
		rc = add_details(text, hub, tasks_pending(tasks));
	if (!rc)
		rc = add_details(text, hub, tasks_completed(tasks));
	return rc ? rc : buf_printf(text, "]}\n");
}

void handle_task_list(struct api_call *call)
{
	struct buf text;
	buf_init(&text, LISTING_MAX);
	int rc = form_listing(call->hub, &text);
	reply_json_text(call->request, HTTP_OK, rc ? NULL : buf_steal(&text));
	buf_done(&text);
}

void handle_task_get(struct api_call *call)
{
	const struct task *task = tasks_find(call->hub->tasks, call->param);
	struct err err;
	if (task) {
		reply_details(call, HTTP_OK, task);
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
