/* Owns the translation of a task into a container. Called by the slots for each start; never talks to an engine. */
#include "node/worker_description.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "proto/limits.h"

#include <ctype.h>
#include <string.h>

enum {
	NAME_SIZE = 256,
	TASK_IN_NAME = 64,  /* of a task's name; the labels have it whole */
	OWN_VARIABLES = 7,
	ENV_MAX = LIMIT_ENV_VARIABLES + OWN_VARIABLES,
};

struct worker_description {
	struct worker_spec spec;
	char name[NAME_SIZE];
	char cpus[CPUS_LIST_SIZE];
	char instance[16];
	char *env[ENV_MAX + 1];
	size_t env_count;
	const char *labels[7];
};

void worker_name(const char *task, const char *node_id, unsigned instance, char *into, size_t size)
{
	(void)snprintf(into, size, "idm-%.*s-%s-%u", TASK_IN_NAME, task, node_id, instance);
	for (char *c = into; *c; c++) {
		if (!isascii((unsigned char)*c) || (!isalnum((unsigned char)*c) && !strchr("_.-", *c)))
			*c = '-';
	}
}

static int add_env(struct worker_description *description, const char *name, const char *value)
{
	struct buf entry;
	buf_init(&entry, LIMIT_ARGUMENT);
	int rc = description->env_count < ENV_MAX ? buf_printf(&entry, "%s=%s", name, value) : ERR_TOO_BIG;
	if (rc) {
		buf_done(&entry);
		return rc;
	}
	description->env[description->env_count++] = buf_steal(&entry);
	return 0;
}

struct variable {
	const char *name;
	const char *value; /* NULL: the task has none, and the variable is not set */
};

static bool is_own(const char *name, const struct variable *own)
{
	for (size_t i = 0; i < OWN_VARIABLES; i++) {
		if (strcmp(own[i].name, name) == 0)
			return true;
	}
	return false;
}

/* The seed's variables; a task's own `env` cannot hide them. */
static int fill_env(struct worker_description *description, const struct task_config *task, const struct worker_home *home)
{
	const char *input = home->gateway_url ? home->gateway_url : task->input_redis;
	const char *output = home->gateway_url ? home->gateway_url : task->output_redis;
	const struct variable own[OWN_VARIABLES] = {
		{"TASK_NAME", task->task_name},       {"NODE_ID", home->node_id},
		{"INSTANCE_ID", description->instance}, {"INPUT_REDIS_URL", input},
		{"OUTPUT_REDIS_URL", output}, {"INPUT_QUEUE", task->input_queue},
		{"OUTPUT_QUEUE", task->output_queue},
	};
	int rc = 0;
	for (size_t i = 0; i < OWN_VARIABLES && !rc; i++)
		rc = own[i].value ? add_env(description, own[i].name, own[i].value) : 0;

	const char *name;
	json_t *value;
	json_object_foreach(task->env, name, value) {
		if (!rc && !is_own(name, own))
			rc = add_env(description, name, json_string_value(value));
	}
	return rc;
}

static void fill_labels(struct worker_description *description, const struct task_config *task, const char *node_id)
{
	const char *const labels[] = {LABEL_NODE, node_id, LABEL_TASK, task->task_name,
				      LABEL_INSTANCE, description->instance, NULL};
	memcpy(description->labels, labels, sizeof(labels));
}

struct worker_description *worker_description_new(const struct task_config *task, const struct worker_home *home,
						  struct err *err)
{
	struct worker_description *description = calloc(1, sizeof(*description));
	if (!description) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	worker_name(task->task_name, home->node_id, home->instance, description->name, sizeof(description->name));
	(void)snprintf(description->instance, sizeof(description->instance), "%u", home->instance);
	fill_labels(description, task, home->node_id);
	int cpu_count = cpus_of_slot(home->cpus, home->instance, (size_t)task->cpus, description->cpus, sizeof(description->cpus));
	int rc = cpu_count < 0 ? cpu_count : fill_env(description, task, home);
	if (rc) {
		(void)err_set(err, rc, "the task's environment or CPU list is too large");
		worker_description_free(description);
		return NULL;
	}
	description->spec = (struct worker_spec){
		.name = description->name,
		.image = task->image,
		.platform = home->platform,
		.command = task->command,
		.exec = task->exec.command != NULL,
		.env = (const char *const *)description->env,
		.labels = description->labels,
		.cpus = description->cpus,
		.cpu_count = (unsigned)cpu_count,
		.memory_mb = home->memory_mb,
		.place = home->place,
	};
	return description;
}

void worker_description_free(struct worker_description *description)
{
	if (!description)
		return;
	for (size_t i = 0; i < description->env_count; i++)
		free(description->env[i]);
	free(description);
}

const struct worker_spec *worker_description_spec(const struct worker_description *description)
{
	return &description->spec;
}
