/* Owns the calls under /api/nodes. Called by the dispatcher; a listing is produced node by node as its reader takes it,
 * so that ten thousand of them never stand in memory at once. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "hub/api/handlers.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"

#include <stdlib.h>
#include <string.h>

enum { ENTRY_MAX = 64 * 1024 };

/* A listing on its way out: what is formed but not yet taken, and which node comes next. */
struct listing {
	const struct hub *hub;
	struct buf pending;
	struct node_cursor cursor;
	bool begun;
	bool ended;
};

static void idle_reason(const struct hub *hub, const struct node *node, char *into, size_t size)
{
	const struct task *current = tasks_current(hub->tasks);
	into[0] = '\0';
	if (node->draining)
		(void)snprintf(into, size, "drained by a person (gridctl node undrain)");
	if (node->draining || !current)
		return;
	if (current->spec.exec.command && !node->exec) {
		(void)snprintf(into, size, "this agent is too old for exec tasks, such as \"%s\": update gridnode", current->spec.name);
		return;
	}
	if (node_runs_processes(node) && (current->spec.command || current->spec.exec.command))
		return;
	if (node_runs_processes(node))
		(void)snprintf(into, size, "the task \"%s\" has no command, and this node runs no containers", current->spec.name);
	else if (!node->platform)
		(void)snprintf(into, size, "no images are made for the architecture %s", node->architecture);
	else if (!task_spec_image(&current->spec, node->platform->name))
		(void)snprintf(into, size, "the task \"%s\" has no image for %s", current->spec.name, node->platform->name);
}

static int add_entry(struct listing *listing, const struct node *node, bool first)
{
	char reason[LIMIT_TASK_NAME + 128];
	idle_reason(listing->hub, node, reason, sizeof(reason));
	AUTO_JSON json_t *entry = node_to_json(node, *reason ? reason : NULL);
	AUTO_FREE char *text = entry ? json_dumps(entry, JSON_COMPACT) : NULL;
	return text ? buf_printf(&listing->pending, "%s%s", first ? "" : ",", text) : ERR_NOMEM;
}

/* Forms the next piece; without memory the listing ends short, which its reader sees as broken JSON. */
static void form_next(struct listing *listing)
{
	bool first = listing->cursor.order == 0;
	const struct node *node = nodes_next(listing->hub->nodes, &listing->cursor);
	int rc = 0;
	if (!listing->begun)
		rc = buf_add(&listing->pending, "[", 1);
	listing->begun = true;
	if (!rc && node)
		rc = add_entry(listing, node, first);
	if (!rc && !node)
		rc = buf_add(&listing->pending, "]\n", 2);
	listing->ended = rc || !node;
}

static ssize_t produce(void *context, char *into, size_t max)
{
	struct listing *listing = context;
	while (listing->pending.len < max && !listing->ended)
		form_next(listing);
	size_t len = listing->pending.len < max ? listing->pending.len : max;
	memcpy(into, buf_text(&listing->pending), len);
	if (len > 0)
		buf_consume(&listing->pending, len);
	return (ssize_t)len;
}

static void produce_done(void *context)
{
	struct listing *listing = context;
	buf_done(&listing->pending);
	free(listing);
}

void handle_node_list(struct api_call *call)
{
	struct listing *listing = calloc(1, sizeof(*listing));
	if (!listing) {
		reply_json(call->request, HTTP_OK, NULL);
		return;
	}
	listing->hub = call->hub;
	buf_init(&listing->pending, 2 * ENTRY_MAX);
	const struct http_response response = {.status = HTTP_OK,
					       .content_type = "application/json",
					       .produce = produce,
					       .produce_done = produce_done,
					       .produce_context = listing};
	http_respond(call->request, &response);
}

void handle_node_revoke(struct api_call *call)
{
	struct node *node = nodes_find(call->hub->nodes, call->param);
	struct err err = {0};
	if (!node) {
		reply_error(call->request, HTTP_NOT_FOUND, "not_found", "there is no node with that id");
		return;
	}
	if (nodes_revoke(call->hub->nodes, node, &err)) {
		reply_err(call->request, &err);
		return;
	}
	log_info(NULL, "the secret of node=%s (%s) is revoked", node->id, node->hostname);
	task_waits_release_node(call->hub->waits, node);
	broker_release(call->hub->broker, node->id);
	reply_json(call->request, HTTP_OK, json_pack("{s:s, s:b}", "node_id", node->id, "revoked", 1));
}

void handle_node_stop(struct api_call *call)
{
	struct node *node = nodes_find(call->hub->nodes, call->param);
	struct err err = {0};
	if (!node) {
		reply_error(call->request, HTTP_NOT_FOUND, "not_found", "there is no node with that id");
		return;
	}
	if (nodes_request_stop(call->hub->nodes, node, &err)) {
		reply_err(call->request, &err);
		return;
	}
	log_info(NULL, "stop requested for node=%s (%s)", node->id, node->hostname);
	task_waits_release_node(call->hub->waits, node);
	broker_release(call->hub->broker, node->id);
	reply_json(call->request, HTTP_OK, json_pack("{s:s, s:b}", "node_id", node->id, "stop_requested", 1));
}

static void set_draining(struct api_call *call, bool draining)
{
	struct node *node = nodes_find(call->hub->nodes, call->param);
	struct err err = {0};
	if (!node) {
		reply_error(call->request, HTTP_NOT_FOUND, "not_found", "there is no node with that id");
		return;
	}
	bool changes = node->draining != draining;
	if (changes && nodes_set_draining(call->hub->nodes, node, draining, &err)) {
		reply_err(call->request, &err);
		return;
	}
	if (changes) {
		log_info(NULL, "node=%s (%s) %s", node->id, node->hostname, draining ? "is drained: it runs nothing" : "may work again");
		hub_nodes_changed(call->hub);
		task_waits_release_node(call->hub->waits, node);
		broker_release(call->hub->broker, node->id);
	}
	reply_json(call->request, HTTP_OK, json_pack("{s:s, s:b}", "node_id", node->id, "draining", (int)draining));
}

void handle_node_drain(struct api_call *call)
{
	set_draining(call, true);
}

void handle_node_undrain(struct api_call *call)
{
	set_draining(call, false);
}
