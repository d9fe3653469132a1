/* Owns the pools of the node's leased tasks, and the gateway. Called by slots and by the agent; never decides what runs.
 *
 * A task:  ACTIVE --another task, a stop--> DRAINING --no slot uses it, and its pool is drained--> gone
 *
 * A slot that still has a worker of an old task keeps that task's pool alive, so that what it finishes is committed. */
#include "node/leases.h"

#include "base/log.h"
#include "base/text.h"
#include "net/listen.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

struct leased_task {
	struct leases *leases;
	char *task_id;
	struct item_pool *pool;
	unsigned users;
	bool retired;
	bool drained;
	struct leased_task *prev, *next;
};

struct leases {
	uv_loop_t *loop;
	struct leases_options options;
	struct gateway *gateway;
	unsigned shared_port;    /* 0: not opened */
	char node_id[LIMIT_NODE_ID + 1];
	int64_t epoch, version;
	struct leased_task *tasks;
	bool leaving;
	uv_timer_t left_timer;   /* tells on_left from the loop */
};

/* ---- tasks ---- */

static void on_left_timer(uv_timer_t *timer)
{
	struct leases *leases = timer->data;
	leases->options.on_left(leases->options.context);
}

static void tell_left(struct leases *leases)
{
	if (leases->leaving && !leases->tasks)
		(void)uv_timer_start(&leases->left_timer, on_left_timer, 0, 0);
}

static void free_task(struct leased_task *task)
{
	item_pool_close(task->pool);
	free(task->task_id);
	free(task);
}

static void end_if_done(struct leased_task *task)
{
	struct leases *leases = task->leases;
	if (!task->retired || !task->drained || task->users > 0)
		return;
	DL_DELETE(leases->tasks, task);
	free_task(task);
	tell_left(leases);
}

static void on_drained(void *context)
{
	struct leased_task *task = context;
	task->drained = true;
	end_if_done(task);
}

static void on_superseded(void *context, bool accepted)
{
	const struct leased_task *task = context;
	task->leases->options.on_superseded(task->leases->options.context, accepted);
}

static void on_unknown(void *context)
{
	const struct leased_task *task = context;
	task->leases->options.on_unknown(task->leases->options.context);
}

static void on_news(void *context, int64_t version, bool stop_requested)
{
	const struct leased_task *task = context;
	task->leases->options.on_news(task->leases->options.context, version, stop_requested);
}

static struct leased_task *new_task(struct leases *leases, const struct task_config *config)
{
	const char *task_id = config->task_id;
	struct leased_task *task = calloc(1, sizeof(*task));
	char *copy = strdup(task_id);
	if (!task || !copy) {
		free(task);
		free(copy);
		return NULL;
	}
	const struct item_pool_options options = {.task_id = task_id,
						  .node_id = leases->node_id,
						  .epoch = leases->epoch,
						  .version = leases->version,
						  .batch = (size_t)config->exec.batch,
						  .hub = leases->options.hub,
						  .hub_context = leases->options.hub_context,
						  .context = task,
						  .on_superseded = on_superseded,
						  .on_unknown = on_unknown,
						  .on_news = on_news};
	task->leases = leases;
	task->task_id = copy;
	task->pool = item_pool_new(leases->loop, &options);
	if (!task->pool) {
		free(copy);
		free(task);
		return NULL;
	}
	DL_APPEND(leases->tasks, task);
	return task;
}

struct leased_task *leases_take(struct leases *leases, const struct task_config *config)
{
	struct leased_task *task;
	DL_FOREACH (leases->tasks, task) {
		if (!task->retired && strcmp(task->task_id, config->task_id) == 0)
			break;
	}
	if (!task)
		task = new_task(leases, config);
	if (task)
		task->users++;
	return task;
}

void leased_task_release(struct leased_task *task)
{
	assert(task->users > 0);
	task->users--;
	end_if_done(task);
}

struct item_pool *leased_task_pool(const struct leased_task *task)
{
	return task->pool;
}

void leased_task_retire(struct leased_task *task)
{
	if (task->retired)
		return;
	task->retired = true;
	item_pool_drain(task->pool, task->leases->leaving, on_drained);
}

void leases_leave(struct leases *leases)
{
	struct leased_task *task;
	if (leases->leaving)
		return;
	leases->leaving = true;
	DL_FOREACH (leases->tasks, task) {
		task->retired = true;
		task->drained = false; /* the hub is still to be told that we leave */
		item_pool_drain(task->pool, true, on_drained);
	}
	tell_left(leases);
}

/* ---- who we are ---- */

void leases_identify(struct leases *leases, const char *node_id, int64_t epoch)
{
	struct leased_task *task;
	text_copy(leases->node_id, sizeof(leases->node_id), node_id);
	leases->epoch = epoch;
	DL_FOREACH (leases->tasks, task)
		item_pool_identify(task->pool, node_id, epoch);
}

void leases_set_version(struct leases *leases, int64_t version)
{
	struct leased_task *task;
	leases->version = version;
	DL_FOREACH (leases->tasks, task)
		item_pool_set_version(task->pool, version);
}

json_t *leases_holding(const struct leases *leases)
{
	const struct leased_task *task;
	json_t *holding = NULL;
	DL_FOREACH (leases->tasks, task) {
		json_t *entry = item_pool_holding(task->pool);
		if (entry && !holding)
			holding = json_array();
		if (entry && json_array_append_new(holding, entry))
			log_debug(NULL, "a heartbeat leaves out what a task holds: no memory");
	}
	return holding;
}

/* ---- the gateway ---- */

struct gateway *leases_gateway(const struct leases *leases)
{
	return leases->gateway;
}

unsigned leases_shared_port(struct leases *leases, struct err *err)
{
	if (leases->shared_port)
		return leases->shared_port;
	int fd = listen_open("127.0.0.1:0", err);
	unsigned port = fd < 0 ? 0 : listen_port(fd);
	if (fd < 0 || gateway_listen(leases->gateway, fd, err))
		return 0;
	leases->shared_port = port;
	return port;
}

/* ---- construction ---- */

struct leases *leases_new(uv_loop_t *loop, const struct leases_options *options)
{
	struct leases *leases = calloc(1, sizeof(*leases));
	if (!leases)
		return NULL;
	leases->loop = loop;
	leases->options = *options;
	leases->version = -1;
	leases->gateway = gateway_new(loop);
	if (!leases->gateway) {
		free(leases);
		return NULL;
	}
	(void)uv_timer_init(loop, &leases->left_timer);
	leases->left_timer.data = leases;
	return leases;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

void leases_close(struct leases *leases)
{
	struct leased_task *task;
	struct leased_task *next;
	if (!leases)
		return;
	DL_FOREACH_SAFE (leases->tasks, task, next)
		free_task(task);
	gateway_close(leases->gateway);
	uv_close((uv_handle_t *)&leases->left_timer, on_timer_closed);
}
