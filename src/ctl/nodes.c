/* Owns `gridctl nodes` and `gridctl node …`: the machines, and what is asked of them. Called through the table; a node is named by
 * its id, by the beginning of it, or by its host's name, wherever that is unambiguous. */
#include "base/cleanup.h"
#include "base/clock.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/moments.h"
#include "ctl/show.h"
#include "ctl/table.h"

#include <stdint.h>
#include <string.h>

extern const struct command COMMAND_NODES;
extern const struct command COMMAND_NODE_STOP;
extern const struct command COMMAND_NODE_DRAIN;
extern const struct command COMMAND_NODE_UNDRAIN;

enum { ID_SHOWN = 8, AMBIGUOUS_SHOWN = 5 };

/* ---- the list ---- */

struct nodes_options {
	bool online;
	bool full;
};

static bool is_online(json_t *node)
{
	return strcmp(show_text(node, "status"), "Online") == 0;
}

static void add_state(struct table *table, json_t *node)
{
	const char *runtime = show_text(node, "runtime_status");
	if (!is_online(node))
		table_add(table, STYLE_BAD, "Offline");
	else if (json_is_true(json_object_get(node, "stop_requested")))
		table_add(table, STYLE_WARN, "Stopping");
	else if (json_is_true(json_object_get(node, "draining")))
		table_add(table, STYLE_WARN, "Draining");
	else if (strcmp(runtime, "Error") == 0)
		table_add(table, STYLE_BAD, "Error");
	else
		table_add(table, strcmp(runtime, "Running") == 0 ? STYLE_GOOD : STYLE_PLAIN, "%s", *runtime ? runtime : "Online");
}

/* What there is to say of it: what is wrong, else why it idles, else what it pulls. */
static const char *remark(json_t *node)
{
	const char *const fields[] = {"error", "idle_reason", "pull"};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (*show_text(node, fields[i]))
			return show_text(node, fields[i]);
	}
	return "";
}

static void add_node(struct table *table, json_t *node, const struct nodes_options *options)
{
	char seen[MOMENT_TEXT_SIZE] = "?";
	int64_t seen_ms = 0;
	if (moment_parse(show_text(node, "last_seen"), &seen_ms))
		moment_ago(seen_ms, clock_wall_ms(), seen);
	table_add(table, STYLE_PLAIN, "%.*s", options->full ? 128 : ID_SHOWN, show_text(node, "id"));
	table_add(table, STYLE_PLAIN, "%s", show_text(node, "hostname"));
	add_state(table, node);
	table_add(table, STYLE_PLAIN, "%lld/%lld", (long long)show_integer(node, "active_containers"), (long long)show_integer(node, "slots"));
	table_add(table, STYLE_PLAIN, "%s", *show_text(node, "platform") ? show_text(node, "platform") : show_text(node, "architecture"));
	table_add(table, STYLE_PLAIN, "%s", show_text(node, "task"));
	table_add(table, STYLE_FAINT, "%s", seen);
	table_add(table, STYLE_PLAIN, "%s", remark(node));
}

static int print_nodes(struct ctl *ctl, json_t *nodes, const struct nodes_options *options)
{
	static const struct table_column COLUMNS[] = {{.title = "ID"},
						      {.title = "HOST", .shrinks = true},
						      {.title = "STATE"},
						      {.title = "BUSY", .right = true},
						      {.title = "PLATFORM", .shrinks = true},
						      {.title = "TASK", .shrinks = true},
						      {.title = "SEEN"},
						      {.title = "REMARK", .shrinks = true}};
	struct table *table = table_new(COLUMNS, sizeof(COLUMNS) / sizeof(COLUMNS[0]));
	size_t i;
	json_t *node;
	json_array_foreach(nodes, i, node)
	{
		if (!options->online || is_online(node))
			add_node(table, node, options);
	}
	int rc = 0;
	if (!table || table_rows(table) > 0)
		rc = table_print(table, stdout, &ctl->out);
	else
		ctl_note(ctl, "no node%s; 'gridctl join-command' tells how a machine becomes one",
			 options->online && json_array_size(nodes) > 0 ? " is online" : " yet");
	table_free(table);
	return rc ? show_no_memory(ctl) : CTL_OK;
}

static int run_nodes(struct ctl *ctl, const struct command_call *call)
{
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	if (hub_get(ctl, "/api/nodes", NULL, &answer, &err))
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	return print_nodes(ctl, answer, call->options);
}

static const struct option_row NODES_ROWS[] = {
	{.name = "online", .type = OPTION_FLAG, .offset = offsetof(struct nodes_options, online), .help = "those that are online alone"},
	{.name = "full-ids", .type = OPTION_FLAG, .offset = offsetof(struct nodes_options, full), .help = "ids in their whole length"},
};
static const struct option_table NODES_OPTIONS = {NODES_ROWS, sizeof(NODES_ROWS) / sizeof(NODES_ROWS[0])};

const struct command COMMAND_NODES = {
	.name = "nodes",
	.group = GROUP_NODES,
	.usage = "[--online] [--full-ids]",
	.purpose = "List the nodes, and what they do",
	.help = "BUSY is how many of a node's slots run a worker. --json prints the hub's answer to\n"
		"GET /api/nodes.\n",
	.options = &NODES_OPTIONS,
	.options_size = sizeof(struct nodes_options),
	.run = run_nodes,
};

/* ---- which node is meant ---- */

enum fit { FIT_NONE, FIT_PREFIX, FIT_HOST, FIT_ID };

static enum fit fit_of(json_t *node, const char *name)
{
	const char *id = show_text(node, "id");
	if (strcmp(id, name) == 0)
		return FIT_ID;
	if (strcmp(show_text(node, "hostname"), name) == 0)
		return FIT_HOST;
	return *name && strncmp(id, name, strlen(name)) == 0 ? FIT_PREFIX : FIT_NONE;
}

static int say_ambiguous(json_t *nodes, const char *name, enum fit best, size_t count, struct err *err)
{
	char list[512] = "";
	size_t i;
	size_t named = 0;
	json_t *node;
	json_array_foreach(nodes, i, node)
	{
		size_t len = strlen(list);
		if (fit_of(node, name) == best && named++ < AMBIGUOUS_SHOWN)
			(void)snprintf(list + len, sizeof(list) - len, "%s%s", len ? ", " : "", show_text(node, "id"));
	}
	return err_set(err, ERR_INVALID, "\"%.200s\" is %s of %zu nodes: %s%s; name one by its id", name,
		       best == FIT_HOST ? "the host name" : "the beginning of the id", count, list,
		       count > AMBIGUOUS_SHOWN ? ", …" : "");
}

/* The whole id, then the host's name, then the id's beginning; among hosts of one name the one that is online. */
static int find_node(json_t *nodes, const char *name, json_t **found, struct err *err)
{
	size_t i;
	size_t count = 0;
	size_t online = 0;
	json_t *node;
	json_t *online_one = NULL;
	enum fit best = FIT_NONE;
	json_array_foreach(nodes, i, node)
	{
		enum fit fit = fit_of(node, name);
		if (fit == FIT_NONE || fit < best)
			continue;
		count = fit > best ? 1 : count + 1;
		online = fit > best ? 0 : online;
		best = fit;
		*found = node;
		if (is_online(node)) {
			online++;
			online_one = node;
		}
	}
	if (count == 0)
		return err_set(err, ERR_NOT_FOUND, "there is no node \"%.200s\"; 'gridctl nodes' lists them", name);
	if (count == 1)
		return 0;
	if (best != FIT_HOST || online != 1)
		return say_ambiguous(nodes, name, best, count, err);
	*found = online_one;
	return 0;
}

/* ---- stop, drain, undrain ---- */

static int ask_node(struct ctl *ctl, json_t *node, const char *after, const char *needs, const char *outcome)
{
	AUTO_FREE char *path = hub_path("/api/nodes/", show_text(node, "id"), after);
	AUTO_JSON json_t *answer = NULL;
	struct err err = {0};
	if (!path)
		return show_no_memory(ctl);
	if (hub_post(ctl, path, NULL, needs, &answer, &err))
		return ctl_fail(ctl, &err);
	if (ctl->globals.json)
		return ctl_print_json(ctl, steal(answer));
	ctl_note(ctl, "%s (%s) %s", show_text(node, "hostname"), show_text(node, "id"), outcome);
	return CTL_OK;
}

static int for_each(struct ctl *ctl, const struct command_call *call, const char *after, const char *needs, const char *outcome)
{
	AUTO_JSON json_t *nodes = NULL;
	struct err err = {0};
	int exit_code = CTL_OK;
	if (hub_get(ctl, "/api/nodes", NULL, &nodes, &err))
		return ctl_fail(ctl, &err);
	for (size_t i = 0; i < call->operand_count; i++) {
		json_t *node = NULL;
		int one = find_node(nodes, call->operands[i], &node, &err) ? ctl_fail(ctl, &err)
									    : ask_node(ctl, node, after, needs, outcome);
		exit_code = exit_code ? exit_code : one;
		if (one == CTL_UNREACHABLE || one == CTL_DENIED || one == CTL_INTERRUPTED)
			break;
	}
	return exit_code;
}

static int run_stop(struct ctl *ctl, const struct command_call *call)
{
	return for_each(ctl, call, "/stop", NULL, "finishes its items, removes its containers and ends");
}

const struct command COMMAND_NODE_STOP = {
	.name = "node stop",
	.group = GROUP_NODES,
	.usage = "NODE...",
	.purpose = "Make a node finish its items and end",
	.help = "NODE is an id, the beginning of one, or a host's name. The agent ends with status 0;\n"
		"it works again when somebody starts it. To keep it running, see 'node drain'.\n",
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_NODE,
	.run = run_stop,
};

static int run_drain(struct ctl *ctl, const struct command_call *call)
{
	return for_each(ctl, call, "/drain", "draining nodes", "finishes its items, and gets no more until 'gridctl node undrain'");
}

const struct command COMMAND_NODE_DRAIN = {
	.name = "node drain",
	.group = GROUP_NODES,
	.usage = "NODE...",
	.purpose = "Make a node finish its items and get no more",
	.help = "NODE is an id, the beginning of one, or a host's name. The node stays registered, and\n"
		"works again after 'gridctl node undrain'.\n",
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_NODE,
	.run = run_drain,
};

static int run_undrain(struct ctl *ctl, const struct command_call *call)
{
	return for_each(ctl, call, "/undrain", "draining nodes", "gets items again");
}

const struct command COMMAND_NODE_UNDRAIN = {
	.name = "node undrain",
	.group = GROUP_NODES,
	.usage = "NODE...",
	.purpose = "Give a drained node items again",
	.help = "",
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_NODE,
	.run = run_undrain,
};
