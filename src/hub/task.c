/* Owns one task's data and how people see it. Called by the queue, the store and the API; never decides what runs. */
#include "hub/task.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static const char *const STATUS_NAMES[] = {
	[TASK_PENDING] = "pending",
	[TASK_RUNNING] = "running",
	[TASK_COMPLETED] = "completed",
	[TASK_CANCELLED] = "cancelled",
};

void task_free(struct task *task)
{
	if (!task)
		return;
	task_spec_done(&task->spec);
	free(task->progress);
	json_decref(task->failures);
	free(task->details);
	free(task);
}

const char *task_status_name(enum task_status status)
{
	return STATUS_NAMES[status];
}

bool task_status_parse(const char *name, enum task_status *status)
{
	for (size_t i = 0; i < sizeof(STATUS_NAMES) / sizeof(STATUS_NAMES[0]); i++) {
		if (strcmp(STATUS_NAMES[i], name) == 0) {
			*status = (enum task_status)i;
			return true;
		}
	}
	return false;
}

bool task_has_ended(const struct task *task)
{
	return task->status == TASK_COMPLETED || task->status == TASK_CANCELLED;
}

static int set_time(json_t *object, const char *field, int64_t wall_ms)
{
	char text[RFC3339_SIZE];
	clock_format_rfc3339(wall_ms, text);
	return json_set_text(object, field, wall_ms ? text : NULL);
}

/* A task that is still at work has its numbers from its queue instead. */
static int set_progress(json_t *object, const struct task *task)
{
	json_t *progress = task->progress ? json_loads(task->progress, 0, NULL) : NULL;
	return progress && json_object_set_new(object, "progress", progress) ? ERR_NOMEM : 0;
}

static json_t *to_json(const struct task *task)
{
	json_t *object = task_spec_to_json(&task->spec, true);
	if (!object)
		return NULL;
	if (json_set_text(object, "id", task->id) || json_set_text(object, "status", task_status_name(task->status)) ||
	    set_time(object, "created_at", task->created_ms) || set_time(object, "started_at", task->started_ms) ||
	    set_time(object, "completed_at", task->completed_ms) ||
	    json_object_set_new(object, "paused", json_boolean(task->paused)) ||
	    (task->purge && json_object_set_new(object, "purge", json_true())) || set_progress(object, task)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

void task_refresh_details(struct task *task)
{
	AUTO_JSON json_t *object = to_json(task);
	free(task->details);
	task->details = object ? json_dumps(object, JSON_COMPACT) : NULL;
}
