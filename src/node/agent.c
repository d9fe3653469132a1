/* Owns the parts of a node and carries what one learns to the other. Called by main.c; never starts a container or writes to
 * the hub itself.
 *
 *   SERVING --hub's stop, SIGTERM, SIGINT--> DRAINING --slots empty--> RETURNING --items told, or too late--> LEAVING
 *                                               |                                                              |
 *                                               +--a second signal: SIGKILL to what is left; a third: DONE     |
 *                                                                     DONE: the loop runs dry <--hub told------+
 *
 * Containers carry the node's id as a label, so the runtime is opened once there is one: at start if the configuration has
 * it, so that what an earlier run left behind goes even while the hub is away; else after the first registration. A hub
 * that has forgotten us may give another id: then all slots end, and the runtime is opened anew under it. */
#include "node/agent.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/state_directory.h"
#include "base/text.h"
#include "node/id_lock.h"
#include "node/runtime/docker.h"
#include "node/runtime/process_runtime.h"
#include "node/secret_file.h"
#include "node/worker_description.h"
#include "proto/platform.h"

#include <assert.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

enum { RETURN_TIMEOUT_MS = 5000 }; /* for a hub that does not answer when this node ends */

static void step(struct agent *agent);
static void on_left(void *context);

static void on_step_timer(uv_timer_t *timer)
{
	step(timer->data);
}

/* step() runs in the next turn of the loop, when no callback of a part is on the stack. */
static void step_soon(struct agent *agent)
{
	if (agent->state != AGENT_DONE)
		(void)uv_timer_start(&agent->step_timer, on_step_timer, 0, 0);
}

/* ---- the runtime ---- */

static void on_runtime_ready(void *context, const char *what)
{
	struct agent *agent = context;
	log_info(NULL, "workers run on %s", what);
	agent->runtime_ready = true;
	agent->runtime_error[0] = '\0';
	slots_use_runtime(agent->slots, agent->runtime, agent->runtime_id);
	hub_client_report_soon(agent->hub);
}

static void on_runtime_lost(void *context, const struct err *err)
{
	struct agent *agent = context;
	log_error(NULL, "%s; trying again", err->text);
	agent->runtime_ready = false;
	text_copy(agent->runtime_error, sizeof(agent->runtime_error), err->text);
	slots_use_runtime(agent->slots, NULL, agent->runtime_id);
	hub_client_report_soon(agent->hub);
}

static size_t slot_count(const struct agent *agent)
{
	return agent->config->parallelism ? (size_t)agent->config->parallelism : agent->cpus.count;
}

/* The capabilities as the runtime takes them: ended by NULL. */
static const char **capability_list(const struct config_strings *capabilities)
{
	const char **list = calloc(capabilities->count + 1, sizeof(*list));
	for (size_t i = 0; list && i < capabilities->count; i++)
		list[i] = capabilities->items[i];
	return list;
}

static void open_runtime(struct agent *agent)
{
	memcpy(agent->runtime_id, agent->node_id, sizeof(agent->runtime_id));
	AUTO_FREE const char **capabilities = capability_list(&agent->config->container_capabilities);
	AUTO_FREE char *state = state_directory(agent->config->state_dir);
	const char *const labels[] = {LABEL_NODE, agent->runtime_id, NULL};
	const struct runtime_options options = {
		.engine_host = agent->config->docker_host,
		.network = agent->config->network,
		.pids_max = agent->config->container_pids,
		.capabilities = capabilities,
		.no_new_privileges = agent->config->no_new_privileges,
		.owner_labels = labels,
		.state_directory = state,
		.owner_id = agent->runtime_id,
		.user = agent->config->process_user,
		.same_user = agent->config->process_same_user,
		.workers_max = slot_count(agent),
		.gateway = node_gateway(agent->config->gateway),
	};
	const struct runtime_events events = {
		.context = agent, .on_ready = on_runtime_ready, .on_lost = on_runtime_lost};
	struct err err = {0};
	agent->runtime = capabilities ? agent->ops->open(agent->loop, &options, &events, &err) : NULL;
	if (agent->runtime)
		return;
	if (!capabilities)
		(void)err_set(&err, ERR_NOMEM, "out of memory");
	log_error(NULL, "no containers can run: %s", err.text);
	text_copy(agent->runtime_error, sizeof(agent->runtime_error), err.text);
}

static void close_runtime(struct agent *agent)
{
	if (!agent->runtime)
		return;
	slots_use_runtime(agent->slots, NULL, agent->runtime_id);
	agent->ops->close(steal(agent->runtime));
	agent->runtime_ready = false;
}

static bool has_stale_runtime(const struct agent *agent)
{
	return agent->runtime && strcmp(agent->runtime_id, agent->node_id) != 0;
}

/* ---- the hub ---- */

static void save_id(struct agent *agent)
{
	struct err err = {0};
	if (config_save_string(agent->config_path, "node_id", agent->node_id, &err))
		log_warn(NULL, "the id could not be saved: %s; add node_id = \"%s\" to the configuration yourself, or the "
			       "next start registers as a new node", err.text, agent->node_id);
	else
		log_info(NULL, "the id is saved in %s", agent->config_path);
}

static int claim_id(struct agent *agent, struct err *err)
{
	if (agent->id_lock >= 0)
		(void)close(agent->id_lock);
	agent->id_lock = id_lock_take(agent->node_id, err);
	return agent->id_lock < 0 ? agent->id_lock : 0;
}

static bool save_secret(const struct agent *agent, const char *node_id, const char *secret)
{
	struct err err = {0};
	if (strcmp(agent->node_id, node_id) != 0)
		secret_file_remove(agent->state_directory, agent->node_id);
	if (secret_file_write(agent->state_directory, node_id, secret, &err) == 0)
		return true;
	log_warn(NULL, "the node's secret could not be saved: %s; without it, the next start registers as a new node", err.text);
	return false;
}

static bool on_registered(void *context, const struct hub_registration *registration)
{
	struct agent *agent = context;
	const char *node_id = registration->node_id;
	agent->epoch = registration->epoch;
	leases_identify(agent->leases, node_id, registration->epoch);
	log_info(NULL, "registered at %s as node %s", agent->config->server_url, node_id);
	if (!node_id_is_valid(node_id)) {
		log_error(NULL, "the hub gave an id that cannot be one; keeping on without it");
		return false;
	}
	bool saved = registration->new_secret && save_secret(agent, node_id, registration->new_secret);
	if (strcmp(agent->node_id, node_id) == 0)
		return saved;
	text_copy(agent->node_id, sizeof(agent->node_id), node_id);
	struct err err = {0};
	if (claim_id(agent, &err))
		log_error(NULL, "%s", err.text);
	save_id(agent);
	step_soon(agent);
	return saved;
}

static void on_task(void *context, json_t *object, int64_t version)
{
	struct agent *agent = context;
	leases_set_version(agent->leases, version);
	struct task_config task = {0};
	struct err err = {0};
	if (!json_is_null(object) && task_config_parse(object, &task, &err)) {
		log_error(NULL, "%s; keeping what runs", err.text);
		task_config_done(&task);
		return;
	}
	task_config_done(&agent->task);
	agent->task = task;
	step_soon(agent);
}

static void drain(struct agent *agent, const char *why)
{
	if (agent->state != AGENT_SERVING)
		return;
	log_info(NULL, "%s: stopping containers", why);
	agent->state = AGENT_DRAINING;
	slots_set_task(agent->slots, NULL);
	step_soon(agent);
}

static void on_stop(void *context)
{
	drain(context, "stopped by the hub");
}

static void fill_heartbeat(void *context, struct heartbeat_message *message)
{
	struct agent *agent = context;
	struct slots_status status;
	slots_status(agent->slots, &status);
	bool engine_down = !agent->runtime_ready && agent->runtime_error[0];
	message->active_containers = status.active;
	message->task = agent->state == AGENT_SERVING ? agent->task.task_name : NULL;
	message->error = engine_down ? agent->runtime_error : status.error;
	message->pull = status.pull;
	message->epoch = agent->epoch;
	json_decref(agent->holding);
	message->holding = agent->holding = leases_holding(agent->leases);
	if (engine_down || status.failing)
		message->status = RUNTIME_STATUS_ERROR;
	else
		message->status = status.active ? RUNTIME_STATUS_RUNNING : RUNTIME_STATUS_IDLE;
}

/* ---- leases ---- */

static void on_superseded(void *context, bool accepted)
{
	struct agent *agent = context;
	if (!accepted) {
		log_warn(NULL, "a later run of this node has begun at the hub; registering again, as a run of its own");
		random_uuid(agent->run);
		hub_client_register_again(agent->hub);
		return;
	}
	log_error(NULL, "another agent works under this node's id %s, with the same secret: this one ends. Give each machine a "
			"configuration and a state directory of its own", agent->node_id);
	agent->displaced = true;
	drain(agent, "displaced");
}

/* The heartbeat gets the same answer, and registers. */
static void on_unknown(void *context)
{
	const struct agent *agent = context;
	hub_client_report_soon(agent->hub);
}

/* The held task call tells the rest. */
static void on_news(void *context, int64_t version, bool stop_requested)
{
	(void)version;
	if (stop_requested)
		on_stop(context);
}

static void on_items_told(void *context)
{
	struct agent *agent = context;
	if (agent->state != AGENT_RETURNING)
		return;
	agent->state = AGENT_LEAVING;
	hub_client_leave(agent->hub, on_left);
}

/* ---- the slots ---- */

static void on_slots_change(void *context)
{
	struct agent *agent = context;
	hub_client_report_soon(agent->hub);
}

static void on_slots_empty(void *context)
{
	step_soon(context);
}

/* ---- steps ---- */

static void on_left(void *context)
{
	struct agent *agent = context;
	agent->state = AGENT_DONE;
	log_info(NULL, "ended");
	/* The client that calls is closed too; it lives until the loop has let go of it. */
	(void)uv_timer_start(&agent->step_timer, on_step_timer, 0, 0);
}

static void step_serving(struct agent *agent)
{
	if (has_stale_runtime(agent)) {
		slots_set_task(agent->slots, NULL);
		if (!slots_are_empty(agent->slots))
			return; /* on_slots_empty comes back */
		close_runtime(agent);
	}
	if (!agent->runtime && agent->node_id[0])
		open_runtime(agent);
	slots_set_task(agent->slots, agent->task.object ? &agent->task : NULL);
}

/* Comes back by the timer. */
static bool is_returning_over(struct agent *agent)
{
	int64_t left_ms = agent->returning_ms + RETURN_TIMEOUT_MS - clock_monotonic_ms();
	if (left_ms > 0)
		(void)uv_timer_start(&agent->step_timer, on_step_timer, (uint64_t)left_ms, 0);
	return left_ms <= 0;
}

static void step(struct agent *agent)
{
	switch (agent->state) {
	case AGENT_SERVING:
		step_serving(agent);
		break;
	case AGENT_DRAINING:
		if (slots_are_empty(agent->slots)) {
			agent->state = AGENT_RETURNING;
			agent->returning_ms = clock_monotonic_ms();
			leases_leave(agent->leases);
			step(agent);
		}
		break;
	case AGENT_RETURNING:
		if (!is_returning_over(agent))
			break;
		log_warn(NULL, "the hub could not be told what became of all items; they go to others when this node's time is over");
		on_items_told(agent);
		break;
	case AGENT_LEAVING:
		break;
	case AGENT_DONE:
		agent_close(agent);
		break;
	}
}

static void on_signal(uv_signal_t *handle, int number)
{
	struct agent *agent = handle->data;
	const char *name = number == SIGTERM ? "SIGTERM" : "SIGINT";
	if (agent->state == AGENT_SERVING) {
		drain(agent, name);
	} else if (agent->state == AGENT_DRAINING && slots_hurry(agent->slots)) {
		log_info(NULL, "%s again: killing containers", name);
	} else if (agent->state != AGENT_DONE) {
		log_warn(NULL, "%s again: ending at once", name);
		on_left(agent);
	}
}

/* ---- start and end ---- */

static int find_identity(struct agent *agent, struct err *err)
{
	random_uuid(agent->run);
	text_copy(agent->node_id, sizeof(agent->node_id), agent->config->node_id);
	text_copy(agent->hostname, sizeof(agent->hostname), agent->config->hostname);
	if (!agent->hostname[0] && gethostname(agent->hostname, sizeof(agent->hostname) - 1))
		(void)snprintf(agent->hostname, sizeof(agent->hostname), "unknown");
	agent->state_directory = state_directory(agent->config->state_dir);
	int rc = agent->node_id[0] ? claim_id(agent, err) : 0;
	return rc ? rc : cpus_of_this_process(&agent->cpus, err);
}

static int make_slots(struct agent *agent, const struct platform *platform, struct err *err)
{
	const struct node_config *config = agent->config;
	size_t count = slot_count(agent);
	const struct slots_options options = {
		.ops = agent->ops,
		.count = count,
		.cpus = &agent->cpus,
		.platform = platform->name,
		.stop_timeout_ms = config->stop_timeout_s * 1000,
		.memory_mb = config->container_memory_mb,
		.memory_max_mb = config->container_memory_max_mb,
		.allow_images = &config->allow_images,
		.allow_network = config->allow_network,
		.leases = agent->leases,
		.context = agent,
		.on_change = on_slots_change,
		.on_empty = on_slots_empty,
	};
	agent->slots = slots_new(agent->loop, &options);
	log_info(NULL, "gridnode %s on %s, %s: %zu slots on %zu CPUs", PROJECT_VERSION, agent->hostname, platform->name,
		 count, agent->cpus.count);
	return agent->slots ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static int make_leases(struct agent *agent, struct err *err)
{
	const struct leases_options options = {.hub = &HUB_CLIENT_OPS,
					       .hub_context = agent->hub,
					       .context = agent,
					       .on_superseded = on_superseded,
					       .on_unknown = on_unknown,
					       .on_news = on_news,
					       .on_left = on_items_told};
	agent->leases = leases_new(agent->loop, &options);
	return agent->leases ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static void read_secret(const struct agent *agent, char secret[LIMIT_NODE_SECRET + 1])
{
	struct err err = {0};
	secret[0] = '\0';
	if (agent->node_id[0] &&
	    secret_file_read(agent->state_directory, agent->node_id, secret, LIMIT_NODE_SECRET + 1, &err))
		log_warn(NULL, "the node's secret could not be read: %s; registering without it, perhaps as a new node", err.text);
}

static int make_hub_client(struct agent *agent, const struct platform *platform, struct err *err)
{
	const struct node_config *config = agent->config;
	char secret[LIMIT_NODE_SECRET + 1];
	read_secret(agent, secret);
	const struct hub_client_options options = {
		.server_url = config->server_url,
		.token = config->token,
		.token_hint = getenv("IDM_GRIDCORE_TOKEN") ? "$IDM_GRIDCORE_TOKEN" : agent->config_path,
		.platform = platform->name,
		.heartbeat_interval_ms = config->heartbeat_interval_s * 1000,
		.registration = {.hostname = agent->hostname,
				 .architecture = platform->architecture,
				 .cpu_count = (json_int_t)agent->cpus.count,
				 .run = agent->run,
				 .agent_version = PROJECT_VERSION,
				 .runtime = agent->ops->name,
				 .slots = (json_int_t)slot_count(agent),
				 .leases = true,
				 .exec = true},
		.node_id = agent->node_id,
		.node_secret = secret,
		.context = agent,
		.on_registered = on_registered,
		.on_task = on_task,
		.on_stop = on_stop,
		.fill_heartbeat = fill_heartbeat,
	};
	agent->http = http_client_new(agent->loop, "gridnode/" PROJECT_VERSION);
	agent->trust = (struct http_trust){.ca_file = config->tls_ca, .pins = config->tls_pin};
	if (agent->http)
		http_client_set_trust(agent->http, &agent->trust);
	agent->hub = agent->http ? hub_client_new(agent->loop, agent->http, &options) : NULL;
	explicit_bzero(secret, sizeof(secret));
	return agent->hub ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static const struct runtime_ops *runtime_named(const char *name)
{
#ifdef __linux__ /* elsewhere the configuration has refused it */
	if (strcmp(name, RUNTIME_PROCESS) == 0)
		return &process_runtime;
#endif
	(void)name;
	return &docker_runtime;
}

int agent_start(struct agent *agent, uv_loop_t *loop, const struct node_config *config, const char *config_path,
		struct err *err)
{
	*agent = (struct agent){.loop = loop, .config = config, .config_path = config_path, .id_lock = -1};
	agent->ops = runtime_named(config->runtime);
	(void)uv_timer_init(loop, &agent->step_timer);
	(void)uv_signal_init(loop, &agent->on_sigterm);
	(void)uv_signal_init(loop, &agent->on_sigint);
	agent->step_timer.data = agent->on_sigterm.data = agent->on_sigint.data = agent;

	const struct platform *platform = platform_here();
	if (!platform)
		return err_set(err, ERR_INVALID, "no images are made for this machine's architecture");
	int rc = find_identity(agent, err);
	if (!rc)
		rc = make_hub_client(agent, platform, err);
	if (!rc)
		rc = make_leases(agent, err);
	if (!rc)
		rc = make_slots(agent, platform, err);
	if (rc)
		return rc;
	(void)uv_signal_start(&agent->on_sigterm, on_signal, SIGTERM);
	(void)uv_signal_start(&agent->on_sigint, on_signal, SIGINT);
	step_soon(agent);
	return 0;
}

void agent_close(struct agent *agent)
{
	agent->state = AGENT_DONE;
	if (uv_is_closing((uv_handle_t *)&agent->step_timer))
		return;
	if (agent->runtime)
		agent->ops->close(agent->runtime);
	slots_close(agent->slots);
	leases_close(agent->leases);
	hub_client_close(agent->hub);
	http_client_close(agent->http);
	task_config_done(&agent->task);
	json_decref(steal(agent->holding));
	free(steal(agent->state_directory));
	if (agent->id_lock >= 0)
		(void)close(agent->id_lock);
	uv_close((uv_handle_t *)&agent->step_timer, NULL);
	uv_close((uv_handle_t *)&agent->on_sigterm, NULL);
	uv_close((uv_handle_t *)&agent->on_sigint, NULL);
}
