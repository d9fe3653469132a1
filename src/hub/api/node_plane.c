/* Owns the calls under /gridnode: registration, heartbeat, task. Called by the dispatcher, and by the hub when a held call
 * is released; a node's message always counts as a sign of life. */
#include "hub/api/node_plane.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/log.h"
#include "hub/api/auth.h"
#include "hub/api/handlers.h"
#include "hub/api/reply.h"
#include "hub/api/routes.h"
#include "proto/node_messages.h"
#include "proto/task_config.h"

#include <stdlib.h>
#include <string.h>

enum { HOLDING_MAX = 100 }; /* tasks in one heartbeat */

/* People should know which machines get the addresses of Redis: once per node and task (a call that names no node: per task). */
static void log_direct(struct hub *hub, struct node *node, const struct task *task)
{
	int64_t *told = node ? &node->direct_told : &hub->direct_told;
	if (*told == task->position)
		return;
	*told = task->position;
	log_warn(NULL, "node=%s (%s) knows no leases: it gets the leased task \"%s\" as direct delivery, with the addresses of Redis",
		 node ? node->id : "unknown", node ? node->hostname : "a seed agent", task->spec.name);
}

static bool is_draining(const struct node *node)
{
	return node && node->draining;
}

/* The current task as a node (NULL: the call named none) of that platform gets it: an object or JSON null; NULL without
 * memory. A platform of NULL is one that no image is made for. */
static json_t *current_config(struct hub *hub, struct node *node, const char *platform)
{
	const struct task *current = tasks_current(hub->tasks);
	if (!current || is_draining(node))
		return json_null();
	if (current->spec.exec.command && !(node && node->exec))
		return json_null(); /* it would run the image's own program, or none */
	enum delivery delivery = node && node->leases ? current->spec.delivery : DELIVERY_DIRECT;
	bool processes = node && node_runs_processes(node);
	if (delivery != current->spec.delivery && platform && task_spec_image(&current->spec, platform))
		log_direct(hub, node, current);
	return task_config_encode(&current->spec, current->id, platform, processes, delivery);
}

/* {"node_id", "current_task"}, and for an agent of ours its epoch and a new secret. */
static json_t *registration_answer(struct hub *hub, const struct registration *registered)
{
	struct node *node = registered->node;
	json_t *config = current_config(hub, node, node->platform ? node->platform->name : NULL);
	json_t *answer = config ? json_pack("{s:s, s:o}", "node_id", node->id, "current_task", config) : NULL;
	bool failed = answer && ((node->leases && json_object_set_new(answer, "epoch", json_integer(node->epoch))) ||
				 (registered->secret[0] && json_set_text(answer, "node_secret", registered->secret)));
	if (failed) {
		json_decref(answer);
		return NULL;
	}
	return answer;
}

void handle_node_register(struct api_call *call)
{
	struct register_message message;
	struct registration registered = {0};
	struct err err = {0};
	const struct claim claim = {.node = call->node, .seed = call->rights & RIGHT_SEED};
	int rc = register_message_parse(call->body, &message, &err);
	if (!rc)
		rc = nodes_register(call->hub->nodes, &message, &claim, hub_now(), &registered, &err);
	if (rc) {
		reply_err(call->request, &err);
		return;
	}
	const struct node *node = registered.node;
	hub_nodes_changed(call->hub);
	log_info(NULL, "node=%s registered: %s, %s, %lld CPUs", node->id, node->hostname, node->architecture,
		 (long long)node->cpu_count);
	if (message.node_id && strcmp(message.node_id, node->id) != 0 && nodes_find(call->hub->nodes, message.node_id))
		log_warn(NULL, "node=%s (%s) asked for the id %s, which is another's: it did not bring that one's secret", node->id,
			 node->hostname, message.node_id);
	reply_json(call->request, HTTP_OK, registration_answer(call->hub, &registered));
}

/* The node that the caller may speak for: itself or, for the seed's token, any that has no secret. NULL when it was refused. */
static struct node *find_node(struct api_call *call, const char *id)
{
	struct node *node = call->node ? call->node : nodes_find(call->hub->nodes, id);
	if (!node) {
		reply_error(call->request, HTTP_NOT_FOUND, "unknown_node", "this hub does not know the node; register again");
	} else if (!call->node && node->secret.hash[0]) {
		reply_forbidden(call->request, "this node has a secret of its own, and only that speaks for it");
		return NULL;
	}
	return node;
}

struct node *node_plane_caller(struct api_call *call, const char *given_id)
{
	if (call->node && (!given_id || strcmp(given_id, call->node->id) == 0)) {
		nodes_seen(call->hub->nodes, call->node, hub_now());
		return call->node;
	}
	reply_forbidden(call->request, call->node ? "this secret is another node's"
						  : "this call needs a node's own secret, which registration gives");
	return NULL;
}

/* The heartbeat's word on the items that the node holds: its holder is renewed in each of those tasks. */
static void renew(struct hub *hub, const struct node *node, const struct heartbeat_message *message)
{
	size_t i;
	json_t *entry;
	json_array_foreach(message->holding, i, entry) {
		const char *task_id = json_string_value(json_object_get(entry, "task_id"));
		json_t *unopened = json_object_get(entry, "unopened");
		struct queue *queue = task_id ? broker_queue(hub->broker, task_id) : NULL;
		if (queue && i < HOLDING_MAX)
			queue_renew(queue, node->id, message->epoch, unopened);
	}
}

void handle_node_heartbeat(struct api_call *call)
{
	struct heartbeat_message message;
	struct err err = {0};
	if (heartbeat_message_parse(call->body, &message, &err)) {
		reply_err(call->request, &err);
		return;
	}
	struct node *node = find_node(call, message.node_id);
	if (!node)
		return;
	if (nodes_heartbeat(call->hub->nodes, node, &message, hub_now(), &err)) {
		reply_err(call->request, &err);
		return;
	}
	if (message.epoch && call->node == node)
		renew(call->hub, node, &message);
	/* The most frequent answer of all: as a JSON tree it would cost the whole call a twentieth more. */
	reply_json_text(call->request, HTTP_OK,
			strdup(node->stop_requested ? "{\"stop_requested\":true}\n" : "{\"stop_requested\":false}\n"));
}

/* ---- the task call ---- */

static bool stop_requested(const struct node *node)
{
	return node && node->stop_requested;
}

static void answer_held(struct hub *hub, struct http_request *request, struct node *node, const char *platform)
{
	json_t *config = current_config(hub, node, platform);
	reply_json(request, HTTP_OK,
		   config ? json_pack("{s:I, s:b, s:b, s:o}", "version", (json_int_t)tasks_version(hub->tasks),
				      "stop_requested", (int)stop_requested(node), "draining", (int)is_draining(node), "task", config)
			  : NULL);
}

void node_plane_answer_wait(struct hub *hub, const struct task_wait *wait)
{
	answer_held(hub, wait->request, wait->node, wait->platform);
}

int64_t node_plane_number(const struct http_request *request, const char *name)
{
	const char *text = http_query(request, name);
	if (!text)
		return -1;
	size_t digits = strspn(text, "0123456789");
	if (digits == 0 || digits > 18 || text[digits])
		return -2;
	return strtoll(text, NULL, 10);
}

/* Reads ?platform=; absent means the seed's default. False when it was refused. */
static bool read_platform(struct api_call *call, const char **platform)
{
	const char *given = http_query(call->request, "platform");
	*platform = given ? given : PLATFORM_DEFAULT;
	if (platform_is_known(*platform))
		return true;
	reply_error(call->request, HTTP_BAD_REQUEST, "bad_request",
		    "unknown platform; known are linux/amd64, linux/arm64 and linux/arm/v7");
	return false;
}

/* ?draining=: what an agent of ours was told last. The answer that told it anew may have been lost. */
static bool thinks_otherwise(const struct http_request *request, const struct node *node)
{
	const char *told = http_query(request, "draining");
	return told && node && (strcmp(told, "1") == 0) != node->draining;
}

static void hold_or_answer(struct api_call *call, struct node *node, const char *platform, int64_t version,
			   int64_t wait_s)
{
	bool news = version != tasks_version(call->hub->tasks) || stop_requested(node) || thinks_otherwise(call->request, node);
	if (wait_s > LIMIT_TASK_WAIT_S)
		wait_s = LIMIT_TASK_WAIT_S;
	if (news || wait_s == 0)
		answer_held(call->hub, call->request, node, platform);
	else if (hub_hold_task_call(call->hub, call->request, node, platform, (int)wait_s))
		reply_json(call->request, HTTP_OK, NULL);
}

void handle_node_task(struct api_call *call)
{
	const char *node_id = http_query(call->request, "node_id");
	int64_t version = node_plane_number(call->request, "version");
	int64_t wait_s = node_plane_number(call->request, "wait");
	const char *platform;
	if (version == -2 || wait_s == -2) {
		reply_error(call->request, HTTP_BAD_REQUEST, "bad_request", "version and wait must be whole numbers");
		return;
	}
	if (!read_platform(call, &platform))
		return;
	struct node *node = node_id || call->node ? find_node(call, node_id) : NULL;
	if (node_id && !node)
		return;
	if (node)
		nodes_seen(call->hub->nodes, node, hub_now());
	if (wait_s < 0)
		reply_json(call->request, HTTP_OK, current_config(call->hub, node, platform));
	else
		hold_or_answer(call, node, platform, version, wait_s);
}
