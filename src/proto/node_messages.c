/* Owns the bodies of registration and heartbeat. Called by agent and hub; fields that it does not know are passed over,
 * so that older and newer programs understand each other. */
#include "proto/node_messages.h"

#include "base/json.h"
#include "proto/limits.h"

#include <stdint.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

json_t *register_message_encode(const struct register_message *message)
{
	json_t *object = json_pack("{s:s, s:s, s:I, s:s*, s:s*, s:s*, s:I}", "hostname", message->hostname, "architecture",
				   message->architecture, "cpu_count", message->cpu_count, "run", message->run,
				   "agent_version", message->agent_version, "runtime", message->runtime, "slots",
				   message->slots);
	bool failed = object && ((message->node_id && json_set_text(object, "node_id", message->node_id)) ||
				 (message->node_secret && json_set_text(object, "node_secret", message->node_secret)) ||
				 (message->leases && json_object_set_new(object, "leases", json_true())) ||
				 (message->exec && json_object_set_new(object, "exec", json_true())));
	if (failed) {
		json_decref(object);
		return NULL;
	}
	return object;
}

int register_message_parse(json_t *object, struct register_message *message, struct err *err)
{
	*message = (struct register_message){0};
	const struct json_field table[] = {
		{.name = "node_id", .type = JSON_FIELD_STRING, .into = &message->node_id, .max_len = LIMIT_NODE_ID},
		{.name = "hostname", .type = JSON_FIELD_STRING, .into = &message->hostname, .required = true, .max_len = LIMIT_HOSTNAME},
		{.name = "architecture", .type = JSON_FIELD_STRING, .into = &message->architecture, .required = true, .max_len = 32},
		{.name = "cpu_count", .type = JSON_FIELD_INTEGER, .into = &message->cpu_count, .required = true, .min = 1, .max = LIMIT_CPUS},
		{.name = "run", .type = JSON_FIELD_STRING, .into = &message->run, .max_len = LIMIT_RUN},
		{.name = "agent_version", .type = JSON_FIELD_STRING, .into = &message->agent_version, .max_len = 64},
		{.name = "runtime", .type = JSON_FIELD_STRING, .into = &message->runtime, .max_len = 32},
		{.name = "slots", .type = JSON_FIELD_INTEGER, .into = &message->slots, .min = 0, .max = LIMIT_CPUS},
		{.name = "node_secret", .type = JSON_FIELD_STRING, .into = &message->node_secret, .max_len = LIMIT_NODE_SECRET},
		{.name = "leases", .type = JSON_FIELD_BOOLEAN, .into = &message->leases},
		{.name = "exec", .type = JSON_FIELD_BOOLEAN, .into = &message->exec},
	};
	return json_read_fields(object, table, COUNT(table), false, err);
}

static const char *const STATUS_NAMES[] = {
	[RUNTIME_STATUS_UNKNOWN] = NULL,
	[RUNTIME_STATUS_RUNNING] = "Running",
	[RUNTIME_STATUS_IDLE] = "Idle",
	[RUNTIME_STATUS_ERROR] = "Error",
};

const char *runtime_status_name(enum runtime_status status)
{
	return STATUS_NAMES[status];
}

static int parse_status(const char *name, enum runtime_status *status, struct err *err)
{
	for (size_t i = RUNTIME_STATUS_RUNNING; i < COUNT(STATUS_NAMES); i++) {
		if (strcmp(STATUS_NAMES[i], name) == 0) {
			*status = (enum runtime_status)i;
			return 0;
		}
	}
	return err_set(err, ERR_INVALID, "field \"status\" must be Running, Idle or Error");
}

json_t *heartbeat_message_encode(const struct heartbeat_message *message)
{
	json_t *object = json_pack("{s:s, s:s, s:I, s:s*}", "node_id", message->node_id, "status",
				   runtime_status_name(message->status), "active_containers", message->active_containers,
				   "task", message->task);
	if (!object)
		return NULL;
	/* Errors quote what containers and engines wrote. */
	if (json_object_set_new(object, "error", json_lossy_string(message->error)) ||
	    json_object_set_new(object, "pull", json_lossy_string(message->pull)) ||
	    (message->leaving && json_object_set_new(object, "leaving", json_true())) ||
	    (message->epoch && json_object_set_new(object, "epoch", json_integer(message->epoch))) ||
	    (message->holding && json_object_set(object, "holding", message->holding))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

static bool are_ids(json_t *list)
{
	size_t i;
	json_t *id;
	bool good = json_is_array(list);
	json_array_foreach(list, i, id) {
		size_t len = json_string_length(id); /* 0 of what is no string */
		good = good && len > 0 && len <= LIMIT_ITEM_ID;
	}
	return good;
}

/* [{"task_id", "unopened": [id, …]}, …] */
static int check_holding(json_t *holding, struct err *err)
{
	size_t i;
	json_t *entry;
	bool good = json_is_array(holding);
	json_array_foreach(holding, i, entry)
		good = good && json_is_string(json_object_get(entry, "task_id")) && are_ids(json_object_get(entry, "unopened"));
	return good ? 0 : err_set(err, ERR_INVALID, "field \"holding\" must be an array of {\"task_id\", \"unopened\": [id]}");
}

int heartbeat_message_parse(json_t *object, struct heartbeat_message *message, struct err *err)
{
	*message = (struct heartbeat_message){0};
	const char *status = NULL;
	const struct json_field table[] = {
		{.name = "node_id", .type = JSON_FIELD_STRING, .into = &message->node_id, .required = true, .max_len = LIMIT_NODE_ID},
		{.name = "status", .type = JSON_FIELD_STRING, .into = &status, .required = true},
		{.name = "active_containers", .type = JSON_FIELD_INTEGER, .into = &message->active_containers, .required = true, .min = 0, .max = LIMIT_CPUS},
		{.name = "task", .type = JSON_FIELD_STRING, .into = &message->task, .max_len = LIMIT_TASK_NAME},
		{.name = "error", .type = JSON_FIELD_STRING, .into = &message->error, .max_len = LIMIT_NODE_ERROR},
		{.name = "pull", .type = JSON_FIELD_STRING, .into = &message->pull, .max_len = LIMIT_NODE_ERROR},
		{.name = "leaving", .type = JSON_FIELD_BOOLEAN, .into = &message->leaving},
		{.name = "epoch", .type = JSON_FIELD_INTEGER, .into = &message->epoch, .min = 1, .max = LIMIT_NUMBER},
		{.name = "holding", .type = JSON_FIELD_ANY, .into = &message->holding},
	};
	int rc = json_read_fields(object, table, COUNT(table), false, err);
	if (!rc && message->holding)
		rc = check_holding(message->holding, err);
	return rc ? rc : parse_status(status, &message->status, err);
}
