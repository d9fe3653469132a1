/* What a node tells the hub: who it is, and how it fares. Each message is written by the node and read by the hub, so both
 * directions stand here. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

/* What a node runs workers with, as it says it. */
#define RUNTIME_DOCKER "docker"
#define RUNTIME_PROCESS "process"

/* POST /gridnode/register. When read, the strings are borrowed from the body. */
struct register_message {
	const char *node_id;       /* NULL: never had one */
	const char *hostname;
	const char *architecture;  /* "x86_64" */
	json_int_t cpu_count;
	const char *run;           /* drawn at the agent's start; NULL from a seed agent */
	const char *agent_version; /* NULL from a seed agent */
	const char *runtime;       /* RUNTIME_…; NULL from a seed agent */
	json_int_t slots;          /* containers at once; 0: not told */
	const char *node_secret;   /* NULL: has none */
	bool leases;               /* understands leased delivery */
	bool exec;                 /* … and tasks with exec */
};

json_t *register_message_encode(const struct register_message *message);
int register_message_parse(json_t *object, struct register_message *message, struct err *err) MUST_CHECK;

enum runtime_status { RUNTIME_STATUS_UNKNOWN, RUNTIME_STATUS_RUNNING, RUNTIME_STATUS_IDLE, RUNTIME_STATUS_ERROR };

/* "Running", "Idle", "Error"; NULL for unknown. */
const char *runtime_status_name(enum runtime_status status);

/* POST /gridnode/heartbeat. */
struct heartbeat_message {
	const char *node_id;
	enum runtime_status status;
	json_int_t active_containers;
	const char *task;  /* the name of what it works on, or NULL */
	const char *error; /* why the status is Error, or NULL */
	const char *pull;  /* the image pull's progress in words, or NULL */
	bool leaving;      /* the last one: the agent ends */
	json_int_t epoch;  /* of this run; 0: none */
	json_t *holding;   /* array of {"task_id", "unopened": [id, …]}, or NULL: whose items the node has. Borrowed */
};

json_t *heartbeat_message_encode(const struct heartbeat_message *message);
int heartbeat_message_parse(json_t *object, struct heartbeat_message *message, struct err *err) MUST_CHECK;
