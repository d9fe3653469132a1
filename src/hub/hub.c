/* Owns the server's parts and their timers. Called by main.c; never handles a request itself (api/ does).
 *
 *   start: state opened --> tasks and nodes loaded --> listening
 *   SIGHUP: the certificate is read anew, and shown from the next handshake on
 *   stop:  no longer listening, held calls cut --> times of nodes saved --> state closed */
#include "hub/hub.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "hub/api/api.h"
#include "hub/api/node_plane.h"
#include "hub/broker/scripts.h"
#include "hub/certificate.h"

#include <string.h>
#include <sys/resource.h>

enum {
	TICK_MS = 1000,
	AWAY_MS = 3 * TICK_MS,
	COUNT_AGAIN_MS = 50, /* counting walks over all nodes */
	MAX_NODES = 100000,
	SPARE_DESCRIPTORS = 64,
};

struct moment hub_now(void)
{
	return (struct moment){.monotonic_ms = clock_monotonic_ms(), .wall_ms = clock_wall_ms()};
}

/* ---- held calls ---- */

static void on_wait_timer(uv_timer_t *timer);

static void set_wait_timer(struct hub *hub, int64_t next_ms, int64_t now_ms)
{
	if (next_ms < 0)
		(void)uv_timer_stop(&hub->wait_timer);
	else
		(void)uv_timer_start(&hub->wait_timer, on_wait_timer, next_ms > now_ms ? (uint64_t)(next_ms - now_ms) : 0, 0);
}

static void on_wait_timer(uv_timer_t *timer)
{
	struct hub *hub = timer->data;
	int64_t now = clock_monotonic_ms();
	set_wait_timer(hub, task_waits_tick(hub->waits, now), now);
}

int hub_hold_task_call(struct hub *hub, struct http_request *request, struct node *node, const char *platform, int wait_s)
{
	int64_t now = clock_monotonic_ms();
	int rc = task_waits_hold(hub->waits, request, node, platform, wait_s, now);
	uint64_t due_in = (uint64_t)wait_s * 1000;
	if (!rc && (!uv_is_active((uv_handle_t *)&hub->wait_timer) || uv_timer_get_due_in(&hub->wait_timer) > due_in))
		(void)uv_timer_start(&hub->wait_timer, on_wait_timer, due_in, 0);
	return rc;
}

static void count_able_nodes(struct hub *hub)
{
	const struct task *current = tasks_current(hub->tasks);
	hub->able_nodes = current ? nodes_count_able(hub->nodes, &current->spec) : 0;
	hub->able_counted_ms = clock_monotonic_ms();
	hub->able_changed = false;
}

void hub_nodes_changed(struct hub *hub)
{
	hub->able_changed = true;
}

static void on_switch(void *context)
{
	struct hub *hub = context;
	const struct task *current = tasks_current(hub->tasks);
	log_info(NULL, "now running: %s", current ? current->spec.name : "nothing");
	count_able_nodes(hub);
	task_waits_release_all(hub->waits);
	broker_release(hub->broker, NULL);
}

static void on_task_change(void *context, const struct task *task)
{
	struct hub *hub = context;
	broker_task_changed(hub->broker, task);
}

static void on_task_forget(void *context, const struct task *task)
{
	struct hub *hub = context;
	broker_task_forgotten(hub->broker, task);
}

/* ---- what the broker asks and tells ---- */

static size_t able_nodes(void *context, const struct task *task)
{
	struct hub *hub = context;
	if (task->status != TASK_RUNNING)
		return 0;
	if (hub->able_changed && clock_monotonic_ms() - hub->able_counted_ms >= COUNT_AGAIN_MS)
		count_able_nodes(hub);
	return hub->able_nodes;
}

static void on_task_idle(void *context, const struct task *task)
{
	struct hub *hub = context;
	const struct task *completed = NULL;
	struct err err = {0};
	if (task != tasks_current(hub->tasks))
		return;
	log_info(NULL, "task \"%s\": nothing is left to do, and it is to finish by itself", task->spec.name);
	if (tasks_finish(hub->tasks, hub_now().wall_ms, &completed, &err))
		log_error(NULL, "task \"%s\" could not be finished: %s", task->spec.name, err.text);
}

static void on_task_failure(void *context, const struct task *task, const struct failure *failure)
{
	struct hub *hub = context;
	tasks_note_failure(hub->tasks, task, failure, hub_now().wall_ms);
}

static void on_task_settled(void *context, const struct task *task, json_t *progress)
{
	struct hub *hub = context;
	struct err err = {0};
	if (tasks_settle(hub->tasks, task->id, progress ? json_dumps(progress, JSON_COMPACT) : NULL, &err))
		log_warn(NULL, "task \"%s\": its last numbers could not be saved: %s", task->spec.name, err.text);
}

static void on_forget(void *context, struct node *node)
{
	struct hub *hub = context;
	task_waits_release_node(hub->waits, node);
}

static void answer_wait(void *context, const struct task_wait *wait)
{
	node_plane_answer_wait(context, wait);
}

/* ---- ticks and signals ---- */

static void on_tick(uv_timer_t *timer)
{
	struct hub *hub = timer->data;
	struct moment now = hub_now();
	int64_t late_ms = now.monotonic_ms - hub->ticked_ms - TICK_MS;
	if (late_ms >= AWAY_MS) {
		log_warn(NULL, "this hub did nothing for %.1f s: stopped, or its machine is overloaded", (double)late_ms / 1000);
		nodes_excuse(hub->nodes, late_ms, now);
	}
	hub->ticked_ms = now.monotonic_ms;
	nodes_tick(hub->nodes, now);
	count_able_nodes(hub);
	broker_tick(hub->broker, now.monotonic_ms);
}

static void on_signal(uv_signal_t *signal, int number)
{
	struct hub *hub = signal->data;
	log_info(NULL, "ending on %s", number == SIGTERM ? "SIGTERM" : "SIGINT");
	hub_stop(hub);
}

static void on_hangup(uv_signal_t *signal, int number)
{
	(void)number;
	struct hub *hub = signal->data;
	struct tls_identity *identity = certificate_reload(hub->config);
	if (identity)
		http_server_set_identity(hub->server, identity);
}

/* ---- start and stop ---- */

/* Raises the limit of open files as far as the system allows, and takes no more connections than fit. */
static unsigned connections_that_fit(int64_t wanted)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return (unsigned)wanted;
	limit.rlim_cur = limit.rlim_max;
	(void)setrlimit(RLIMIT_NOFILE, &limit);
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= (rlim_t)wanted + SPARE_DESCRIPTORS)
		return (unsigned)wanted;
	unsigned fitting = limit.rlim_cur > 2 * SPARE_DESCRIPTORS ? (unsigned)(limit.rlim_cur - SPARE_DESCRIPTORS)
								  : SPARE_DESCRIPTORS;
	log_info(NULL, "only %u connections at once fit the limit of open files (ulimit -n), not %lld", fitting,
		 (long long)wanted);
	return fitting;
}

static int open_state(struct hub *hub, struct err *err)
{
	AUTO_FREE char *directory = hub_config_state_directory(hub->config);
	if (!directory)
		return err_set(err, ERR_INVALID, "no place for the state: set state_dir in the configuration");
	hub->store = store_open(directory, err);
	if (!hub->store)
		return err_wrap(err, "state");

	const struct nodes_options options = {
		.offline_after_ms = hub->config->offline_after_s * 1000,
		.forget_after_ms = hub->config->forget_after_s * 1000,
		.max_nodes = MAX_NODES,
		.on_forget = on_forget,
		.context = hub,
	};
	struct moment now = hub_now();
	const struct tasks_events events = {
		.context = hub, .on_switch = on_switch, .on_change = on_task_change, .on_forget = on_task_forget};
	hub->tasks = tasks_load(hub->store, (size_t)hub->config->keep_completed, now.wall_ms, &events, err);
	if (hub->tasks)
		hub->nodes = nodes_load(hub->store, &options, now, err);
	if (!hub->nodes)
		return err_wrap(err, "state in %s", directory);
	hub->waits = task_waits_new(answer_wait, hub);
	return hub->waits ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

static void tell_broker(struct hub *hub, const struct task *task)
{
	for (; task; task = task->next)
		broker_task_changed(hub->broker, task);
}

static int open_broker(struct hub *hub, struct err *err)
{
	const struct broker_options options = {
		.redis_url = hub->config->redis_url,
		.redis_hosts = &hub->config->redis_hosts,
		.allow_link_local = hub->config->redis_link_local,
		.lease_ms = hub->config->lease_timeout_s * 1000,
		.context = hub,
		.able_nodes = able_nodes,
		.on_idle = on_task_idle,
		.on_failure = on_task_failure,
		.on_settled = on_task_settled,
	};
	int rc = scripts_init(err);
	if (rc)
		return rc;
	hub->broker = broker_new(hub->loop, &options);
	if (!hub->broker)
		return err_set(err, ERR_NOMEM, "out of memory");
	count_able_nodes(hub);
	tell_broker(hub, tasks_current(hub->tasks));
	tell_broker(hub, tasks_pending(hub->tasks));
	tell_broker(hub, tasks_completed(hub->tasks));
	return 0;
}

static int listen_for_requests(struct hub *hub, struct err *err)
{
	struct tls_identity *identity = NULL;
	int rc = certificate_load(hub->config, &identity, err);
	if (rc)
		return rc;
	const struct http_server_options options = {
		.bind = hub->config->bind,
		.max_connections = connections_that_fit(hub->config->max_connections),
		.request_timeout_ms = hub->config->request_timeout_s * 1000,
		.identity = identity,
		.context = hub,
		.on_headers = api_on_headers,
		.on_request = api_on_request,
	};
	hub->server = http_server_new(hub->loop, &options, err);
	return hub->server ? 0 : (int)err->code;
}

static void warn_of_shared_token(const struct hub *hub)
{
	if (hub->config->token && *hub->config->token)
		log_warn(NULL, "`token` is good for everything, so whoever owns a node is an admin; prefer admin_token, viewer_token "
			       "and join_token");
}

static void log_listening(const struct hub *hub)
{
	const char *colon = strrchr(hub->config->bind, ':');
	log_info(NULL, "computehub %s listening on %.*s:%u%s, %zu nodes known", PROJECT_VERSION,
		 (int)(colon - hub->config->bind), hub->config->bind, http_server_port(hub->server),
		 *hub->config->tls_cert ? " with TLS" : "", nodes_count(hub->nodes));
}

int hub_start(struct hub *hub, uv_loop_t *loop, const struct hub_config *config, struct err *err)
{
	*hub = (struct hub){.loop = loop, .config = config};
	(void)uv_timer_init(loop, &hub->tick_timer);
	(void)uv_timer_init(loop, &hub->wait_timer);
	(void)uv_signal_init(loop, &hub->on_sigterm);
	(void)uv_signal_init(loop, &hub->on_sigint);
	(void)uv_signal_init(loop, &hub->on_sighup);
	hub->tick_timer.data = hub->wait_timer.data = hub->on_sigterm.data = hub->on_sigint.data = hub;
	hub->on_sighup.data = hub;

	int rc = open_state(hub, err);
	if (!rc)
		rc = open_broker(hub, err);
	if (!rc)
		rc = listen_for_requests(hub, err);
	if (rc)
		return rc;
	hub->ticked_ms = clock_monotonic_ms();
	(void)uv_timer_start(&hub->tick_timer, on_tick, TICK_MS, TICK_MS);
	(void)uv_signal_start(&hub->on_sigterm, on_signal, SIGTERM);
	(void)uv_signal_start(&hub->on_sigint, on_signal, SIGINT);
	(void)uv_signal_start(&hub->on_sighup, on_hangup, SIGHUP);
	log_listening(hub);
	warn_of_shared_token(hub);
	return 0;
}

void hub_stop(struct hub *hub)
{
	if (uv_is_closing((uv_handle_t *)&hub->tick_timer))
		return; /* a second signal */
	http_server_close(hub->server); /* its held calls leave hub->waits */
	broker_close(hub->broker);
	scripts_done();
	task_waits_free(hub->waits);
	nodes_free(hub->nodes);
	tasks_free(hub->tasks);
	store_close(hub->store);
	uv_close((uv_handle_t *)&hub->tick_timer, NULL);
	uv_close((uv_handle_t *)&hub->wait_timer, NULL);
	uv_close((uv_handle_t *)&hub->on_sigterm, NULL);
	uv_close((uv_handle_t *)&hub->on_sigint, NULL);
	uv_close((uv_handle_t *)&hub->on_sighup, NULL);
}
