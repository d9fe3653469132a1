/* Owns the end of a local system, and the command `down`. Called through the table, and by `up` where a start failed or it stays
 * in the foreground; ends nothing but what run/ names. */
#include "ctl/local_end.h"

#include "ctl/local_process.h"

#include <signal.h>
#include <stdio.h>

enum {
	NODE_PATIENCE_MS = 60 * 1000, /* a stop_timeout of its own may be longer than ours */
	HURRIED_MS = 10 * 1000,
	PATIENCE_MS = 30 * 1000,
	KILLED_MS = 5 * 1000,
};

struct down_options {
	const char *directory;
	bool purge;
};

extern const struct command COMMAND_DOWN;

/* ---- ending ---- */

static void kill_at_last(struct ctl *ctl, struct local_system *system, const char *name)
{
	ctl_note(ctl, "%s does not end; killing it", name);
	(void)local_process_signal(system, name, SIGKILL);
	if (!local_process_wait(system, name, KILLED_MS))
		ctl_error(ctl, "%s (process %d) does not even end by SIGKILL", name, local_process_pid(system, name));
}

/* SIGTERM was sent. To a node a second one means: kill the containers. */
static void wait_for(struct ctl *ctl, struct local_system *system, const char *name, bool is_node)
{
	if (local_process_wait(system, name, is_node ? NODE_PATIENCE_MS : PATIENCE_MS))
		return;
	if (is_node && local_process_signal(system, name, SIGTERM) && local_process_wait(system, name, HURRIED_MS))
		return;
	kill_at_last(ctl, system, name);
}

/* True where there was one to end. */
static bool begin(struct local_system *system, const char *name, struct local_ended *ended)
{
	if (!local_process_is_recorded(system, name))
		return false;
	if (!local_process_signal(system, name, SIGTERM))
		ended->died++;
	return true;
}

static bool end_one(struct ctl *ctl, struct local_system *system, const char *name, struct local_ended *ended)
{
	bool was = begin(system, name, ended);
	if (was)
		wait_for(ctl, system, name, false);
	return was;
}

void local_end(struct ctl *ctl, struct local_system *system, struct local_ended *ended)
{
	char names[LOCAL_NODES_MAX][LOCAL_NAME_MAX];
	*ended = (struct local_ended){0};
	for (int i = 1; i <= LOCAL_NODES_MAX; i++) {
		char *name = names[ended->nodes];
		(void)snprintf(name, LOCAL_NAME_MAX, "node-%d", i);
		ended->nodes += begin(system, name, ended);
	}
	if (ended->nodes > 0)
		ctl_detail(ctl, "waiting for the node%s to end what is running", ended->nodes == 1 ? "" : "s");
	for (int i = 0; i < ended->nodes; i++)
		wait_for(ctl, system, names[i], true);
	ended->hub = end_one(ctl, system, "hub", ended);
	ended->redis = end_one(ctl, system, "redis", ended);
	local_system_unset_current(system);
}

/* ---- the command ---- */

static int report(struct ctl *ctl, const struct local_system *system, const struct local_ended *ended, bool purged)
{
	if (ctl->globals.json)
		return ctl_print_json(ctl, json_pack("{s:i s:b s:b s:i s:b s:s}", "nodes", ended->nodes, "hub", ended->hub, "redis",
						     ended->redis, "died_before", ended->died, "purged", purged, "directory",
						     system->directory));
	if (!ended->nodes && !ended->hub && !ended->redis)
		ctl_note(ctl, "nothing is up in %s", system->directory);
	else if (ended->died)
		ctl_note(ctl, "down; of its programs %d had died before (why: %s/logs)", ended->died, system->directory);
	else
		ctl_note(ctl, "down: %d node%s, the hub and Redis have ended", ended->nodes, ended->nodes == 1 ? "" : "s");
	if (purged)
		ctl_note(ctl, "removed %s", system->directory);
	else
		ctl_note(ctl, "tasks, items and results stay in %s, for the next `gridctl up` (gridctl down --purge removes them)",
			 system->directory);
	return CTL_OK;
}

static int run_down(struct ctl *ctl, const struct command_call *call)
{
	const struct down_options *options = call->options;
	struct local_system system;
	struct local_ended ended;
	struct err err = {0};
	int rc = local_system_open(&system, options->directory, false, &err);
	if (rc == ERR_NOT_FOUND && !options->directory) {
		ctl_note(ctl, "%s: nothing is up", err.text);
		return CTL_OK;
	}
	if (rc)
		return ctl_fail(ctl, &err);
	local_end(ctl, &system, &ended);
	if (options->purge)
		rc = local_system_purge(&system, &err);
	int exit_code = rc ? ctl_fail(ctl, &err) : report(ctl, &system, &ended, options->purge);
	local_system_close(&system);
	return exit_code;
}

#define FIELD(name) offsetof(struct down_options, name)

static const struct option_row ROWS[] = {
	{.name = "directory", .type = OPTION_TEXT, .offset = FIELD(directory), .argument = "DIR", .hint = HINT_DIRECTORY,
	 .help = "where `gridctl up --directory` put it (else the one that is up)"},
	{.name = "purge", .type = OPTION_FLAG, .offset = FIELD(purge),
	 .help = "remove all that it kept: tasks, items, results, tokens, logs"},
};

static const struct option_table OPTIONS = {.rows = ROWS, .count = sizeof(ROWS) / sizeof(ROWS[0])};
static const struct down_options DEFAULTS = {0};

const struct command COMMAND_DOWN = {
	.name = "down",
	.group = GROUP_SETUP,
	.usage = "[--purge] [--directory DIR]",
	.purpose = "End the system that `gridctl up` started",
	.help = "The nodes finish the items that they are computing, for up to ten seconds; what they cannot finish goes back to\n"
		"its queue. Then the hub ends, then Redis. What they keep stays for the next `gridctl up`.\n",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(struct down_options),
	.offline = true,
	.run = run_down,
};
