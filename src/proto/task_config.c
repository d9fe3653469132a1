/* Owns the task's form between hub and node. Called by the hub's node plane and the agent; never logs. */
#include "proto/task_config.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "proto/limits.h"

#include <string.h>

/* The fields that only some tasks have are left out of the others. */
static bool set_options(json_t *object, const struct task_spec *spec)
{
	if (spec->command && json_object_set(object, "command", spec->command))
		return false;
	if (spec->env && json_object_set(object, "env", spec->env))
		return false;
	return !spec->memory_mb || json_object_set_new(object, "memory_mb", json_integer(spec->memory_mb)) == 0;
}

static bool set_lease_options(json_t *object, const struct task_spec *spec)
{
	if (spec->exec.command && !exec_spec_put(object, &spec->exec))
		return false;
	return json_set_text(object, "network", task_network_name(spec->network)) == 0 &&
	       json_object_set_new(object, "concurrency", json_integer(spec->concurrency)) == 0 &&
	       json_object_set_new(object, "item_timeout", json_integer(spec->item_timeout_s)) == 0;
}

json_t *task_config_encode(const struct task_spec *spec, const char *task_id, const char *platform, bool runs_processes,
			   enum delivery delivery)
{
	const char *image = platform ? task_spec_image(spec, platform) : NULL;
	bool leased = delivery == DELIVERY_LEASED;
	if (!image && !(runs_processes && (spec->command || spec->exec.command)))
		return json_null();
	if (spec->exec.command && !leased)
		return json_null();
	const char *output = spec->output_redis ? spec->output_redis : spec->input_redis;
	json_t *object = json_pack("{s:s, s:s*, s:s?, s:s?, s:s?, s:s?, s:s, s:s, s:I}", "task_name", spec->name, "image",
				   image, "input_redis", leased ? NULL : spec->input_redis, "output_redis",
				   leased ? NULL : output, "input_queue", spec->input_queue, "output_queue",
				   spec->output_queue, "task_id", task_id, "delivery", delivery_name(delivery), "cpus",
				   spec->cpus);
	if (object && (!set_options(object, spec) || (leased && !set_lease_options(object, spec)))) {
		json_decref(object);
		return NULL;
	}
	return object;
}

/* A hub that names none is a seed hub, whose containers talk to Redis themselves. */
static int read_words(struct task_config *config, const char *delivery, const char *network, struct err *err)
{
	config->delivery = delivery && strcmp(delivery, "leased") == 0 ? DELIVERY_LEASED : DELIVERY_DIRECT;
	config->network = network && strcmp(network, "outbound") == 0 ? TASK_NETWORK_OUTBOUND : TASK_NETWORK_NONE;
	if (config->delivery == DELIVERY_DIRECT && delivery && strcmp(delivery, "direct") != 0)
		return err_set(err, ERR_PROTOCOL, "the hub's task wants a delivery that this gridnode does not know: update it");
	if (config->delivery == DELIVERY_LEASED && (!config->task_id || !config->input_queue))
		return err_set(err, ERR_PROTOCOL, "the hub's task is leased but has no task_id or no input_queue");
	return 0;
}

int task_config_parse(json_t *object, struct task_config *config, struct err *err)
{
	*config = (struct task_config){.cpus = 1};
	if (!json_is_object(object))
		return err_set(err, ERR_PROTOCOL, "the hub sent a task that is not a JSON object");

	const char *delivery = NULL;
	const char *network = NULL;
	struct exec_fields exec = {0};
	const struct json_field table[] = {
		{.name = "task_id", .type = JSON_FIELD_STRING, .into = &config->task_id},
		{.name = "delivery", .type = JSON_FIELD_STRING, .into = &delivery},
		{.name = "network", .type = JSON_FIELD_STRING, .into = &network},
		{.name = "concurrency", .type = JSON_FIELD_INTEGER, .into = &config->concurrency, .min = 0, .max = 1},
		{.name = "item_timeout", .type = JSON_FIELD_INTEGER, .into = &config->item_timeout_s, .min = 0, .max = LIMIT_ITEM_TIMEOUT_S},
		{.name = "task_name", .type = JSON_FIELD_STRING, .into = &config->task_name, .required = true},
		{.name = "image", .type = JSON_FIELD_STRING, .into = &config->image},
		{.name = "input_redis", .type = JSON_FIELD_STRING, .into = &config->input_redis},
		{.name = "output_redis", .type = JSON_FIELD_STRING, .into = &config->output_redis},
		{.name = "input_queue", .type = JSON_FIELD_STRING, .into = &config->input_queue},
		{.name = "output_queue", .type = JSON_FIELD_STRING, .into = &config->output_queue},
		{.name = "command", .type = JSON_FIELD_STRINGS, .into = &config->command},
		{.name = "env", .type = JSON_FIELD_STRING_MAP, .into = &config->env},
		{.name = "memory_mb", .type = JSON_FIELD_INTEGER, .into = &config->memory_mb, .min = 1, .max = LIMIT_MEMORY_MB},
		{.name = "cpus", .type = JSON_FIELD_INTEGER, .into = &config->cpus, .min = 1, .max = LIMIT_CPUS},
		EXEC_SPEC_ROWS(&exec),
	};
	int rc = json_read_fields(object, table, sizeof(table) / sizeof(table[0]), false, err);
	if (!rc)
		rc = exec_spec_read(&exec, &config->exec, err);
	if (rc)
		return err_wrap(err, "the hub's task");
	if (!config->image && !config->command && !config->exec.command)
		return err_set(err, ERR_PROTOCOL, "the hub's task: neither \"image\" nor \"command\" nor \"exec\" is there");
	rc = read_words(config, delivery, network, err);
	if (!rc && config->exec.command && (config->delivery != DELIVERY_LEASED || config->command))
		rc = err_set(err, ERR_PROTOCOL, "the hub's task has exec without leased delivery, or a command beside it");
	if (rc)
		return rc;
	if (!config->output_redis)
		config->output_redis = config->input_redis;
	config->object = json_incref(object);
	return 0;
}

void task_config_done(struct task_config *config)
{
	json_decref(config->object);
	*config = (struct task_config){0};
}

bool task_config_equal(const struct task_config *a, const struct task_config *b)
{
	return json_equal(a->object, b->object) == 1;
}
