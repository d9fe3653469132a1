/* The agent: the one object that owns everything of a node. */
#pragma once

#include "base/err.h"
#include "base/random.h"
#include "node/cpus.h"
#include "node/hub_client.h"
#include "node/node_config.h"
#include "node/runtime/runtime.h"
#include "node/slots.h"
#include "proto/limits.h"

#include <uv.h>

enum agent_state { AGENT_SERVING, AGENT_DRAINING, AGENT_LEAVING, AGENT_DONE };

struct agent {
	uv_loop_t *loop;
	const struct node_config *config;
	const char *config_path; /* where a new id is saved */
	enum agent_state state;
	char node_id[LIMIT_NODE_ID + 1]; /* "" before the first registration */
	char *state_directory;           /* where its secret is kept; NULL: nowhere */
	int64_t epoch;                   /* of this run, as the hub counts; 0: not known, or a seed hub */
	int id_lock;                     /* keeps node_id ours on this machine; -1 without one */
	char run[UUID_SIZE];             /* drawn at this start */
	char hostname[LIMIT_HOSTNAME + 1];
	struct cpus cpus;

	struct http_client *http;
	struct hub_client *hub;
	const struct runtime_ops *ops;
	struct runtime *runtime;         /* NULL until there is an id for its labels */
	char runtime_id[LIMIT_NODE_ID + 1]; /* the id that it was opened with */
	bool runtime_ready;
	char runtime_error[ERR_TEXT_MAX]; /* while it is not ready; "" before it was tried */
	struct slots *slots;
	struct task_config task;         /* what the hub wants; object NULL: nothing */

	uv_timer_t step_timer;           /* carries what must not happen inside a callback to the next turn */
	uv_signal_t on_sigterm, on_sigint;
};

int agent_start(struct agent *agent, uv_loop_t *loop, const struct node_config *config, const char *config_path,
		struct err *err) MUST_CHECK;

/* Lets go of everything at once; the loop then runs dry. Also after a failed start. */
void agent_close(struct agent *agent);
