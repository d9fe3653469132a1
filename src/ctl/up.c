/* Owns the command `up`: a Redis, a hub and some nodes on this machine, as daemons of this user. Called through the table. What runs
 * is known by run/ alone, so that it matters to nobody how an earlier gridctl ended.
 *
 *   each of redis, hub, node-1 …:  absent | died --start--> running --ready--> the next one
 *                                                          \--ends, or is not ready in time--> its log is shown, all is ended */
#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/local_end.h"
#include "ctl/local_files.h"
#include "ctl/local_probe.h"
#include "ctl/local_process.h"
#include "ctl/local_programs.h"
#include "ctl/local_watch.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { READY_MS = 30 * 1000, LOOK_MS = 50, NODES_MAX_BYTES = 4 * 1024 * 1024, TAIL_SIZE = 2048 };

struct up_options {
	int64_t nodes; /* 0: not said */
	int64_t port;  /* 0: not said */
	const char *directory;
	const char *bind;
	bool process;
	bool foreground;
};

extern const struct command COMMAND_UP;

struct up {
	struct ctl *ctl;
	const struct up_options *options;
	struct local_system system;
	struct local_programs programs;
	struct local_plan plan;
	char engine[LOCAL_PATH_MAX];
	cpu_set_t cpus[LOCAL_NODES_MAX];
	int cpu_count; /* of each node, of the first at least */
	bool already;  /* all of it ran */
};

/* ---- what is there ---- */

static int running_nodes(const struct local_system *system)
{
	int count = 0;
	for (int i = 1; i <= LOCAL_NODES_MAX; i++) {
		char name[LOCAL_NAME_MAX];
		(void)snprintf(name, sizeof(name), "node-%d", i);
		count += local_process_pid(system, name) != 0;
	}
	return count;
}

/* How many were started and not ended: those that died with them. */
static int recorded_nodes(const struct local_system *system)
{
	int last = 0;
	for (int i = 1; i <= LOCAL_NODES_MAX; i++) {
		char name[LOCAL_NAME_MAX];
		(void)snprintf(name, sizeof(name), "node-%d", i);
		if (local_process_is_recorded(system, name))
			last = i;
	}
	return last;
}

/* Node `number` of `count` gets its share of our CPUs; where there are fewer CPUs than nodes, one that others have too. */
static int share_of_cpus(int number, int count, cpu_set_t *share)
{
	cpu_set_t all;
	int taken = 0;
	int seen = 0;
	CPU_ZERO(share);
	if (sched_getaffinity(0, sizeof(all), &all))
		return 0;
	int total = CPU_COUNT(&all);
	int first = total >= count ? (number - 1) * total / count : (number - 1) % total;
	int end = total >= count ? number * total / count : first + 1;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		if (seen >= first && seen < end) {
			CPU_SET(cpu, share);
			taken++;
		}
		seen++;
	}
	return taken;
}

/* ---- starting one ---- */

typedef bool is_ready(struct up *up, const void *context);

static void sleep_a_moment(void)
{
	const struct timespec moment = {.tv_nsec = LOOK_MS * 1000000L};
	(void)nanosleep(&moment, NULL);
}

static void show_log(struct up *up, const char *name)
{
	char tail[TAIL_SIZE];
	if (up->options->foreground)
		return; /* it stands above */
	local_process_log_tail(&up->system, name, tail, sizeof(tail));
	for (char *line = tail; *line;) {
		size_t len = strcspn(line, "\n");
		bool more = line[len] == '\n';
		line[len] = '\0';
		ctl_error(up->ctl, "  %s", line);
		line += len + more;
	}
}

static int wait_until_ready(struct up *up, const char *name, is_ready *ready, const void *context, struct err *err)
{
	for (int waited_ms = 0; !ready(up, context); waited_ms += LOOK_MS) {
		bool died = !local_process_pid(&up->system, name);
		if (died || waited_ms >= READY_MS) {
			show_log(up, name);
			return err_set(err, ERR_STATE, died ? "%s ended at once; its log is in %s/logs" : "%s does not get ready; its log is in %s/logs",
				       name, up->system.directory);
		}
		sleep_a_moment();
	}
	return 0;
}

static int start(struct up *up, const char *name, const char *const *argv, const cpu_set_t *cpus, struct err *err)
{
	if (local_process_pid(&up->system, name))
		return 0;
	if (local_process_is_recorded(&up->system, name))
		ctl_note(up->ctl, "%s had died; starting it again", name);
	const struct local_start wanted = {.name = name, .argv = argv, .cpus = cpus, .attached = up->options->foreground};
	int rc = local_process_start(&up->system, &wanted, err);
	if (!rc)
		ctl_detail(up->ctl, "started %s: process %d", argv[0], local_process_pid(&up->system, name));
	return rc;
}

static bool redis_is_ready(struct up *up, const void *context)
{
	(void)up;
	return local_probe_redis(context);
}

static int start_redis(struct up *up, struct err *err)
{
	char config[LOCAL_PATH_MAX];
	char socket[LOCAL_PATH_MAX];
	int rc = local_system_path(&up->system, config, err, "redis.conf");
	if (!rc)
		rc = local_system_path(&up->system, socket, err, "redis.sock");
	const char *const argv[] = {up->programs.redis, config, NULL};
	if (!rc)
		rc = start(up, "redis", argv, NULL, err);
	return rc ? rc : wait_until_ready(up, "redis", redis_is_ready, socket, err);
}

static bool hub_is_ready(struct up *up, const void *context)
{
	(void)context;
	return local_probe_hub(up->plan.reach, up->plan.port, "/health", "", NULL);
}

static int start_hub(struct up *up, struct err *err)
{
	char config[LOCAL_PATH_MAX];
	int rc = local_system_path(&up->system, config, err, "computehub.toml");
	const char *const argv[] = {up->programs.hub, "-c", config, NULL};
	if (!rc)
		rc = start(up, "hub", argv, NULL, err);
	return rc ? rc : wait_until_ready(up, "hub", hub_is_ready, NULL, err);
}

/* The hub lists the node, as one that it hears. */
static bool node_is_ready(struct up *up, const void *context)
{
	char id[128];
	struct buf body;
	size_t i;
	const json_t *node;
	bool online = false;
	local_files_node_id(&up->system, *(const int *)context, id, sizeof(id));
	if (!*id)
		return false;
	buf_init(&body, NODES_MAX_BYTES);
	AUTO_JSON json_t *nodes = local_probe_hub(up->plan.reach, up->plan.port, "/api/nodes", up->plan.admin_token, &body)
					  ? json_loadb(buf_text(&body), body.len, 0, NULL)
					  : NULL;
	buf_done(&body);
	json_array_foreach (nodes, i, node) {
		const char *node_id = json_string_value(json_object_get(node, "id"));
		const char *status = json_string_value(json_object_get(node, "status"));
		online = online || (node_id && status && strcmp(node_id, id) == 0 && strcmp(status, "Online") == 0);
	}
	return online;
}

static int start_nodes(struct up *up, struct err *err)
{
	int rc = 0;
	for (int i = 1; i <= up->plan.nodes && !rc; i++) {
		char config[LOCAL_PATH_MAX];
		char name[LOCAL_NAME_MAX];
		(void)snprintf(name, sizeof(name), "node-%d", i);
		int count = share_of_cpus(i, up->plan.nodes, &up->cpus[i - 1]);
		up->cpu_count = i == 1 ? count : up->cpu_count;
		rc = local_files_write_node(&up->system, &up->plan, i, err);
		if (!rc)
			rc = local_system_path(&up->system, config, err, "%s.toml", name);
		const char *const argv[] = {up->programs.node, "-c", config, NULL};
		if (!rc)
			rc = start(up, name, argv, count > 0 ? &up->cpus[i - 1] : NULL, err);
	}
	for (int i = 1; i <= up->plan.nodes && !rc; i++) {
		char name[LOCAL_NAME_MAX];
		(void)snprintf(name, sizeof(name), "node-%d", i);
		rc = wait_until_ready(up, name, node_is_ready, &i, err);
	}
	return rc;
}

/* ---- the whole ---- */

static int report(struct up *up)
{
	const struct local_plan *plan = &up->plan;
	const char *plural = plan->nodes == 1 ? "" : "s";
	const char *directory = up->system.directory;
	if (up->ctl->globals.json)
		return ctl_print_json(up->ctl, json_pack("{s:s s:i s:s s:b}", "hub", plan->url, "nodes", plan->nodes, "directory", directory,
							 "already", up->already));
	if (up->already)
		ctl_note(up->ctl, "is up already: hub %s, %d node%s; everything in %s", plan->url, plan->nodes, plural, directory);
	else
		ctl_note(up->ctl, "up: hub %s, %d node%s (%s, %d CPU%s%s); everything in %s", plan->url, plan->nodes, plural,
			 plan->containers ? "containers" : "plain processes", up->cpu_count, up->cpu_count == 1 ? "" : "s",
			 plan->nodes == 1 ? "" : " each", directory);
	ctl_note(up->ctl, "try: seq 10 | gridctl run %s-- awk '{ print $1 * $1 }'", plan->containers ? "--image busybox " : "");
	ctl_note(up->ctl, "end it with: gridctl down");
	return CTL_OK;
}

/* What is there of it now is all that is asked for. */
static bool is_up(struct up *up, struct err *err)
{
	struct local_plan *plan = &up->plan;
	int nodes = running_nodes(&up->system);

	return local_process_pid(&up->system, "redis") && local_process_pid(&up->system, "hub") && nodes > 0 && nodes == plan->nodes &&
	       recorded_nodes(&up->system) == nodes && local_files_read(&up->system, plan, err) == 0;
}

/* What runs keeps its address, its nodes and their CPUs until it has ended. */
static int check_wishes(struct up *up, struct err *err)
{
	const struct up_options *options = up->options;
	struct local_plan now = {0};
	int recorded = recorded_nodes(&up->system);
	bool hub_runs = local_process_pid(&up->system, "hub") && local_files_read(&up->system, &now, NULL) == 0;
	bool moves = (options->port && now.port != (unsigned)options->port) || (options->bind && strcmp(options->bind, now.host) != 0);
	if (hub_runs && moves)
		return err_set(err, ERR_STATE, "the hub listens on %s:%u already: first `gridctl down`", now.host, now.port);
	if (running_nodes(&up->system) > 0 && options->nodes && options->nodes != recorded)
		return err_set(err, ERR_STATE, "it is up with %d node%s: first `gridctl down`", recorded, recorded == 1 ? "" : "s");
	up->plan.nodes = options->nodes ? (int)options->nodes : recorded ? recorded : 1;
	up->plan.port = (unsigned)options->port;
	up->plan.bind_host = options->bind;
	return 0;
}

/* Without the list of places that were looked at. */
static size_t reason_len(const char *text)
{
	const char *list = strstr(text, "; looked at ");
	return list ? (size_t)(list - text) : strlen(text);
}

static void find_engine(struct up *up)
{
	struct err err = {0};
	if (up->options->process)
		return;
	if (local_programs_engine(&up->programs, up->engine, &err) == 0) {
		up->plan.engine = up->engine;
		up->plan.containers = true;
		return;
	}
	ctl_note(up->ctl, "no containers here: %.*s. So commands run as plain processes%s, without a container's isolation",
		 (int)reason_len(err.text), err.text, geteuid() == 0 ? " of the user nobody" : "");
}

static int start_all(struct up *up, struct err *err)
{
	int rc = local_programs_find(&up->programs, err);
	if (rc)
		return rc;
	find_engine(up);
	rc = local_files_write(&up->system, &up->plan, err);
	if (rc)
		return rc;
	bool fresh = !local_process_pid(&up->system, "redis") && !local_process_pid(&up->system, "hub");
	rc = start_redis(up, err);
	if (!rc)
		rc = start_hub(up, err);
	if (!rc)
		rc = start_nodes(up, err);
	if (!rc)
		return local_system_set_current(&up->system, err);
	struct local_ended ended;
	if (fresh)
		local_end(up->ctl, &up->system, &ended); /* half a system is of no use */
	return rc;
}

static int begin(struct up *up, struct err *err)
{
	int rc = local_system_open(&up->system, up->options->directory, true, err);
	if (!rc)
		rc = check_wishes(up, err);
	if (rc)
		return rc;
	up->already = is_up(up, err);
	return up->already ? local_system_set_current(&up->system, err) : start_all(up, err);
}

static int run_up(struct ctl *ctl, const struct command_call *call)
{
	struct up *up = calloc(1, sizeof(*up));
	struct err err = {0};
	if (!up)
		return CTL_FAILED;
	up->ctl = ctl;
	up->options = call->options;
	struct local_watch watch;
	if (up->options->foreground)
		local_watch_begin(&watch);
	int exit_code = begin(up, &err) ? ctl_fail(ctl, &err) : report(up);
	if (!exit_code && !up->already && up->options->foreground)
		exit_code = local_watch_run(&watch, ctl, &up->system, up->plan.nodes);
	local_system_close(&up->system);
	free(up);
	return exit_code;
}

#define FIELD(name) offsetof(struct up_options, name)

static const struct option_row ROWS[] = {
	{.name = "nodes", .type = OPTION_INTEGER, .offset = FIELD(nodes), .argument = "N", .min = 1, .max = LOCAL_NODES_MAX,
	 .help = "so many nodes, which share the CPUs among them (1)"},
	{.name = "process", .type = OPTION_FLAG, .offset = FIELD(process),
	 .help = "run commands as plain processes, even where there is a container engine"},
	{.name = "port", .type = OPTION_INTEGER, .offset = FIELD(port), .argument = "N", .min = 1, .max = 65535,
	 .help = "the hub's port (8080, or a free one where that is taken)"},
	{.name = "bind", .type = OPTION_TEXT, .offset = FIELD(bind), .argument = "ADDRESS",
	 .help = "the hub's address; 0.0.0.0 lets other machines join (127.0.0.1)"},
	{.name = "directory", .type = OPTION_TEXT, .offset = FIELD(directory), .argument = "DIR", .hint = HINT_DIRECTORY,
	 .help = "keep everything there (~/.local/state/idm-gridcore/local)"},
	{.name = "foreground", .type = OPTION_FLAG, .offset = FIELD(foreground),
	 .help = "stay, and end everything on SIGTERM, SIGINT, or when one of it ends"},
};

static const struct option_table OPTIONS = {.rows = ROWS, .count = sizeof(ROWS) / sizeof(ROWS[0])};
static const struct up_options DEFAULTS = {0};

const struct command COMMAND_UP = {
	.name = "up",
	.group = GROUP_SETUP,
	.usage = "[--nodes N] [OPTION]...",
	.purpose = "Start a whole system on this machine, for trying out",
	.help = "Starts a Redis that only the hub reaches, a hub, and a node that runs containers, or plain processes where\n"
		"there is no container engine. They go on when the terminal is closed; `gridctl down` ends them. All that they\n"
		"keep is in one directory of yours, with tokens of its own, and gridctl finds the hub by itself.\n\n"
		"Typed again it starts what has died meanwhile, and otherwise says that all is up.\n",
	.options = &OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(struct up_options),
	.offline = true,
	.run = run_up,
};
