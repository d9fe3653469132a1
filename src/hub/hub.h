/* The hub: the one object that owns everything of the server. Its parts are open to the API's handlers, which run on the
 * same loop and thread. */
#pragma once

#include "base/err.h"
#include "hub/broker/broker.h"
#include "hub/hub_config.h"
#include "hub/nodes.h"
#include "hub/store.h"
#include "hub/task_waits.h"
#include "hub/tasks.h"
#include "net/http_server.h"

#include <uv.h>

struct hub {
	uv_loop_t *loop;
	const struct hub_config *config;
	struct store *store;
	struct tasks *tasks;
	struct nodes *nodes;
	struct task_waits *waits;
	struct broker *broker;
	size_t able_nodes;     /* online ones that could run the current task */
	int64_t able_counted_ms; /* monotonic; when they were counted: at each tick, and soon after a node came */
	bool able_changed;     /* since then */
	struct http_server *server;
	uv_timer_t tick_timer; /* nodes: once a second */
	int64_t ticked_ms;     /* monotonic; when it last did */
	uv_timer_t wait_timer; /* held calls: at the next deadline */
	uv_signal_t on_sigterm, on_sigint, on_sighup;
	int64_t direct_told;       /* position of the task that a call without a node's name last got as direct delivery */
	int64_t refused_logged_ms; /* when a wrong token was last logged */
	unsigned refused_since;    /* how many were not logged since */
};

/* Opens the state and begins to listen. The config must outlive the hub. */
int hub_start(struct hub *hub, uv_loop_t *loop, const struct hub_config *config, struct err *err) MUST_CHECK;

/* Saves and ends everything; the loop then runs dry. Also after a failed start. */
void hub_stop(struct hub *hub);

/* A node came, or what it can has changed. */
void hub_nodes_changed(struct hub *hub);

/* Both clocks now. */
struct moment hub_now(void);

/* Holds a call until a change, at most wait_s seconds. */
int hub_hold_task_call(struct hub *hub, struct http_request *request, struct node *node, const char *platform,
		       int wait_s) MUST_CHECK;
