/* Owns the hidden `gridctl complete-names`: the names that the completions offer. Called by their scripts; silent whatever
 * happens, and quick, since somebody has pressed a key. */
#include "base/cleanup.h"
#include "ctl/ctl.h"
#include "ctl/hub_call.h"
#include "ctl/show.h"

#include <stdio.h>
#include <string.h>

extern const struct command COMMAND_COMPLETE_NAMES;

enum { QUICK_MS = 1500 };

static void print_names(json_t *list, const char *field)
{
	size_t i;
	json_t *object;
	json_array_foreach(list, i, object)
	{
		const char *name = show_text(object, field);
		if (*name && !strpbrk(name, "\n\r\t\033"))
			printf("%s\n", name);
	}
}

static int run_names(struct ctl *ctl, const struct command_call *call)
{
	bool nodes = strcmp(call->operands[0], "nodes") == 0;
	struct err err = {0};
	struct hub_reply reply;
	const struct hub_request request = {.method = "GET", .path = nodes ? "/api/nodes" : "/api/tasks", .timeout_ms = QUICK_MS};
	ctl->globals.quiet = true;
	ctl->retry_for_ms = 0;
	if (ctl_load(ctl, true) || ctl_connect(ctl, true))
		return CTL_FAILED;
	if (!hub_ask(ctl, &request, &reply, &err)) {
		print_names(nodes ? reply.json : json_object_get(reply.json, "tasks"), nodes ? "hostname" : "name");
		if (nodes)
			print_names(reply.json, "id");
	}
	hub_reply_done(&reply);
	return err.code ? CTL_FAILED : CTL_OK;
}

const struct command COMMAND_COMPLETE_NAMES = {
	.name = "complete-names",
	.group = GROUP_SETUP,
	.usage = "tasks|nodes",
	.purpose = "Print names for the completions",
	.help = "",
	.min_operands = 1,
	.max_operands = 1,
	.words = "tasks nodes",
	.hidden = true,
	.offline = true,
	.run = run_names,
};
