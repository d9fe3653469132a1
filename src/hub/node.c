/* Owns one node's data and how people see it. Called by the registry, the store and the API; never decides when a node is
 * Offline. */
#include "hub/node.h"

#include "base/clock.h"
#include "base/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void node_free(struct node *node)
{
	if (!node)
		return;
	free(node->hostname);
	free(node->architecture);
	free(node->run);
	free(node->agent_version);
	free(node->runtime);
	free(node->task);
	free(node->error);
	free(node->pull);
	free(node->guard);
	free(node->fresh);
	free(node);
}

/* Without memory the old text stays. */
static bool replace(char **text, const char *with)
{
	if (with && *text && strcmp(*text, with) == 0)
		return true;
	char *copy = with ? strdup(with) : NULL;
	if (with && !copy)
		return false;
	free(*text);
	*text = copy;
	return true;
}

bool node_take_registration(struct node *node, const struct register_message *message)
{
	node->cpu_count = message->cpu_count;
	node->slots = message->slots;
	node->leases = message->leases;
	node->exec = message->leases && message->exec;
	node->platform = platform_of_architecture(message->architecture);
	return replace(&node->hostname, message->hostname) && replace(&node->architecture, message->architecture) &&
	       replace(&node->run, message->run) && replace(&node->agent_version, message->agent_version) &&
	       replace(&node->runtime, message->runtime);
}

bool node_take_heartbeat(struct node *node, const struct heartbeat_message *message)
{
	node->runtime_status = message->status;
	node->active_containers = message->active_containers;
	return replace(&node->task, message->task) && replace(&node->error, message->error) &&
	       replace(&node->pull, message->pull);
}

bool node_runs_processes(const struct node *node)
{
	return node->runtime && strcmp(node->runtime, RUNTIME_PROCESS) == 0;
}

bool node_can_run(const struct node *node, const struct task_spec *spec)
{
	if (spec->exec.command && !node->exec)
		return false;
	return (node->platform && task_spec_image(spec, node->platform->name)) ||
	       (node_runs_processes(node) && (spec->command || spec->exec.command));
}

/* A node that fails everything says itself that it runs well. */
static const char *error_of(const struct node *node, char *into, size_t size)
{
	if (!node_guard_is_on(node->guard))
		return node->error;
	(void)snprintf(into, size, "%u items failed here in a row; it gets one at a time, with pauses. The last failure: %s",
		       node->guard->streak, node->guard->reason);
	return into;
}

json_t *node_to_json(const struct node *node, const char *idle_reason)
{
	char guarded[GUARD_REASON_SIZE + 128];
	const char *error = error_of(node, guarded, sizeof(guarded));
	bool failing = node_guard_is_on(node->guard) && node->online;
	char seen[RFC3339_SIZE];
	char registered[RFC3339_SIZE];
	clock_format_rfc3339(node->seen_wall_ms, seen);
	clock_format_rfc3339(node->registered_ms, registered);
	return json_pack(
		"{s:s, s:s, s:s, s:s?, s:I, s:s, s:s, s:s?, s:I, s:I, s:s?, s:s?, s:s?, s:s?, s:b, s:b, s:s?, s:s?, s:s}",
		"id", node->id, "hostname", node->hostname, "architecture", node->architecture, "platform",
		node->platform ? node->platform->name : NULL, "cpu_count", (json_int_t)node->cpu_count, "last_seen", seen,
		"status", node->online ? "Online" : "Offline", "runtime_status",
		runtime_status_name(failing ? RUNTIME_STATUS_ERROR : node->runtime_status), "active_containers", (json_int_t)node->active_containers,
		"slots", (json_int_t)node->slots, "task", node->task, "error", error, "pull", node->pull,
		"idle_reason", idle_reason, "stop_requested", (int)node->stop_requested, "draining", (int)node->draining, "runtime", node->runtime,
		"agent_version", node->agent_version, "registered_at", registered);
}
