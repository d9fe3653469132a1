/* Owns the queues of all leased tasks and their links. Called by the hub and by the API's handlers; never gives a lease itself
 * (queue_lease.c does). A queue exists from its task's registration until it has settled. */
#include "hub/broker/broker.h"

#include "base/log.h"
#include "base/url.h"
#include "hub/broker/queue_parts.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

struct broker {
	uv_loop_t *loop;
	struct broker_options options;
	struct queue_owner owner;
	struct redis_links *links;
	struct results *results;
	struct queue *queues;  /* all that have not settled */
	struct queue *by_task; /* the same, by task id */
	struct queue *settled; /* to be closed at the next tick: it may be on the stack */
};

static const char *input_url(const struct broker *broker, const struct task_spec *spec)
{
	return spec->input_redis ? spec->input_redis : broker->options.redis_url;
}

/* NULL where the output is on the input's Redis. */
static const char *output_url(const struct broker *broker, const struct task_spec *spec)
{
	bool same = !spec->output_redis || strcmp(spec->output_redis, input_url(broker, spec)) == 0;
	return same ? NULL : spec->output_redis;
}

static void list(struct broker *broker, struct queue *queue)
{
	DL_APPEND(broker->queues, queue);
	HASH_ADD_KEYPTR(hh, broker->by_task, queue->task->id, strlen(queue->task->id), queue);
}

static void unlist(struct broker *broker, struct queue *queue)
{
	DL_DELETE(broker->queues, queue);
	HASH_DEL(broker->by_task, queue); /* NOLINT(clang-analyzer-core.NullDereference): uthash's own */
}

/* ---- what queues ask and tell ---- */

static size_t able_nodes(void *context, const struct queue *queue)
{
	struct broker *broker = context;
	return broker->options.able_nodes(broker->options.context, queue->task);
}

static struct queue *all(void *context)
{
	struct broker *broker = context;
	return broker->queues;
}

static void on_idle(void *context, struct queue *queue)
{
	struct broker *broker = context;
	broker->options.on_idle(broker->options.context, queue->task);
}

static void on_failure(void *context, const struct queue *queue, const struct failure *failure)
{
	struct broker *broker = context;
	broker->options.on_failure(broker->options.context, queue->task, failure);
}

static void on_settled(void *context, struct queue *queue)
{
	struct broker *broker = context;
	json_t *progress = queue_progress_json(queue);
	log_info(queue->subject, "nothing of it is out any more: %lld items done, %lld dead letters",
		 (long long)queue->progress.counts[COUNT_DONE], (long long)queue->progress.dead);
	broker->options.on_settled(broker->options.context, queue->task, progress);
	json_decref(progress);
	results_task_ended(broker->results, queue->task);
	unlist(broker, queue);
	DL_APPEND(broker->settled, queue);
}

static void on_results(void *context, const struct queue *queue)
{
	struct broker *broker = context;
	results_came(broker->results, queue->task);
}

static void on_link_change(void *context, struct redis_link *link)
{
	struct broker *broker = context;
	struct queue *queue;
	struct queue *next;
	DL_FOREACH_SAFE(broker->queues, queue, next) {
		if (queue->link == link)
			queue_link_changed(queue);
	}
	results_link_changed(broker->results, link);
}

/* ---- hosts ---- */

static int check_host(const struct broker *broker, const char *url, struct err *err)
{
	const struct config_strings *allowed = broker->options.redis_hosts;
	struct redis_url parts;
	if (!allowed || allowed->count == 0)
		return 0;
	int rc = url_parse_redis(url, &parts, err);
	if (rc)
		return rc;
	bool fits = false;
	for (size_t i = 0; i < allowed->count && !fits; i++)
		fits = fnmatch(allowed->items[i], parts.host, 0) == 0;
	redis_url_done(&parts);
	return fits ? 0 : err_set(err, ERR_DENIED, "this hub does not connect to that Redis host (redis_hosts in its configuration)");
}

static int check_keys(const struct broker *broker, const char *url, const char *input_queue, struct err *err)
{
	const struct queue *queue;
	DL_FOREACH(broker->queues, queue) {
		if (queue_collides(queue, url, input_queue))
			return err_set(err, ERR_EXISTS,
				       "the input queue's name differs only by its braces from that of task \"%s\", which is not done yet",
				       queue->task->spec.name);
	}
	return 0;
}

int broker_check(const struct broker *broker, const struct task_spec *spec, struct err *err)
{
	const char *input = input_url(broker, spec);
	const char *output = output_url(broker, spec);
	if (!*input)
		return err_set(err, ERR_INVALID,
			       "field \"input_redis\" is needed: this hub has no Redis of its own (redis_url in its configuration)");
	int rc = spec->input_redis ? check_host(broker, input, err) : 0;
	if (!rc && output)
		rc = check_host(broker, output, err);
	return rc ? rc : check_keys(broker, input, spec->input_queue, err);
}

/* ---- queues that tasks share ---- */

static bool same_place(const char *a, const char *b)
{
	struct redis_url one;
	struct redis_url other;
	struct err err = {0};
	bool good = url_parse_redis(a, &one, &err) == 0;
	bool good_too = url_parse_redis(b, &other, &err) == 0;
	bool same = good && good_too && one.port == other.port && one.database == other.database &&
		    strcasecmp(one.host, other.host) == 0;
	redis_url_done(&one);
	redis_url_done(&other);
	return same;
}

/* Where a task's input (0) or output (1) is. */
static const char *url_of(const struct broker *broker, const struct task_spec *spec, int which)
{
	const char *elsewhere = which ? output_url(broker, spec) : NULL;
	return elsewhere ? elsewhere : input_url(broker, spec);
}

bool broker_shares(const struct broker *broker, const struct task_spec *a, const struct task_spec *b)
{
	for (int i = 0; i < 2; i++) {
		for (int k = 0; k < 2; k++) {
			const char *one = i ? a->output_queue : a->input_queue;
			const char *other = k ? b->output_queue : b->input_queue;
			if (one && other && strcmp(one, other) == 0 && same_place(url_of(broker, a, i), url_of(broker, b, k)))
				return true;
		}
	}
	return false;
}

int broker_check_purges(const struct broker *broker, const struct task_spec *spec, struct err *err)
{
	const struct queue *queue;
	DL_FOREACH(broker->queues, queue) {
		if (queue->task->purge && !queue->task->settled && broker_shares(broker, spec, &queue->task->spec))
			return err_set(err, ERR_EXISTS,
				       "a queue of this task is one of \"%s\", which is cancelled and still to be purged; try again when it has settled",
				       queue->task->spec.name);
	}
	return 0;
}

/* ---- queues ---- */

struct queue *broker_queue(const struct broker *broker, const char *task_id)
{
	struct queue *queue = NULL;
	HASH_FIND_STR(broker->by_task, task_id, queue);
	return queue;
}

static enum queue_state state_for(const struct task *task)
{
	return task->status == TASK_PENDING ? QUEUE_WAITING : task->status == TASK_RUNNING ? QUEUE_RUNNING : QUEUE_DRAINING;
}

static struct queue *open_queue(struct broker *broker, const struct task *task, struct err *err)
{
	const char *output = output_url(broker, &task->spec);
	struct redis_link *output_link = NULL;
	struct redis_link *link = redis_link_take(broker->links, input_url(broker, &task->spec), err);
	if (link && output)
		output_link = redis_link_take(broker->links, output, err);
	struct queue *queue = link && (!output || output_link)
				      ? queue_new(broker->loop, &broker->owner, task, state_for(task), link, output_link, err)
				      : NULL;
	if (!queue) {
		redis_link_release(link);
		redis_link_release(output_link);
		return NULL;
	}
	list(broker, queue);
	if (redis_link_is_up(link))
		queue_link_changed(queue);
	return queue;
}

void broker_task_changed(struct broker *broker, const struct task *task)
{
	struct err err = {0};
	if (task->spec.delivery != DELIVERY_LEASED && task_has_ended(task))
		results_task_ended(broker->results, task);
	struct queue *queue = broker_queue(broker, task->id);
	if (task->settled && queue)
		broker_task_forgotten(broker, task); /* cancelled before anything of it was out */
	if (task->spec.delivery != DELIVERY_LEASED || task->settled)
		return;
	if (queue) {
		queue_set_state(queue, state_for(task));
		queue_set_paused(queue, task->paused);
	} else if (!open_queue(broker, task, &err)) {
		log_error(NULL, "task \"%s\": its items cannot be leased: %s", task->spec.name, err.text);
	}
}

struct queue *broker_reopen(struct broker *broker, const struct task *task, struct err *err)
{
	struct queue *queue = broker_queue(broker, task->id);
	if (queue)
		return queue;
	if (task->spec.delivery != DELIVERY_LEASED) {
		(void)err_set(err, ERR_STATE, "task \"%s\" is direct: the hub knows nothing of its items", task->spec.name);
		return NULL;
	}
	return open_queue(broker, task, err);
}

void broker_task_forgotten(struct broker *broker, const struct task *task)
{
	struct queue *queue = broker_queue(broker, task->id);
	results_task_forgotten(broker->results, task);
	if (!queue)
		return;
	unlist(broker, queue);
	queue_close(queue);
}

/* Where the task's results lie; NULL: the task names no Redis. Only what the task itself names may be a forbidden host. */
static const char *results_url(const struct broker *broker, const struct task_spec *spec, struct err *err)
{
	const char *own = spec->output_redis ? spec->output_redis : spec->input_redis;
	bool hubs = !own && spec->delivery == DELIVERY_LEASED && *broker->options.redis_url;
	if (!own && !hubs)
		(void)err_set(err, ERR_STATE, "task \"%s\" names no Redis", spec->name);
	else if (own && check_host(broker, own, err) == 0)
		return own;
	return hubs ? broker->options.redis_url : NULL;
}

bool broker_ask_results(struct broker *broker, const struct task *task, struct results_call *call, struct err *err)
{
	const char *url = task->spec.output_queue ? results_url(broker, &task->spec, err) : NULL;
	if (!task->spec.output_queue)
		(void)err_set(err, ERR_STATE, "task \"%s\" has no output queue", task->spec.name);
	return url && results_ask(broker->results, task, url, call, err);
}

void broker_release(struct broker *broker, const char *node)
{
	struct queue *queue;
	DL_FOREACH(broker->queues, queue)
		queue_release(queue, node);
}

static void close_settled(struct broker *broker)
{
	struct queue *queue;
	struct queue *next;
	DL_FOREACH_SAFE(broker->settled, queue, next) {
		DL_DELETE(broker->settled, queue);
		queue_close(queue);
	}
}

void broker_tick(struct broker *broker, int64_t now_ms)
{
	struct queue *queue;
	struct queue *next;
	close_settled(broker);
	DL_FOREACH_SAFE(broker->queues, queue, next)
		queue_tick(queue, now_ms);
	results_tick(broker->results, now_ms);
}

/* ---- construction ---- */

struct broker *broker_new(uv_loop_t *loop, const struct broker_options *options)
{
	struct broker *broker = calloc(1, sizeof(*broker));
	if (!broker)
		return NULL;
	const struct redis_links_options links = {.own_url = options->redis_url,
						  .allow_link_local = options->allow_link_local,
						  .context = broker,
						  .on_change = on_link_change};
	broker->loop = loop;
	broker->options = *options;
	broker->owner = (struct queue_owner){.context = broker,
					     .lease_ms = options->lease_ms,
					     .all = all,
					     .able_nodes = able_nodes,
					     .on_idle = on_idle,
					     .on_results = on_results,
					     .on_failure = on_failure,
					     .on_settled = on_settled};
	broker->links = redis_links_new(loop, &links);
	broker->results = broker->links ? results_new(broker->links) : NULL;
	if (broker->results)
		return broker;
	redis_links_free(broker->links);
	free(broker);
	return NULL;
}

void broker_close(struct broker *broker)
{
	if (!broker)
		return;
	close_settled(broker);
	struct queue *queue;
	struct queue *next;
	DL_FOREACH_SAFE(broker->queues, queue, next) {
		unlist(broker, queue);
		queue_close(queue);
	}
	results_free(broker->results);
	redis_links_free(broker->links);
	free(broker);
}
