/* Owns a slot's place and its worker's side of the gateway. Called by slots.c; never starts or ends a worker.
 *
 *   OPENING --listening--> READY --close--> CLOSING --the place is gone--> (freed)
 *      |                     |
 *      +---- lost: told once +
 *
 * A runtime without places is READY at once: its workers find the gateway's shared listener, and AUTH tells them apart. */
#include "node/slot_service.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "node/worker_description.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NAME_SIZE = 256, EXEC_BACKSTOP_MS = 5 * 1000 };

struct slot_service {
	uv_loop_t *loop;
	struct slot_service_options options;
	struct leased_task *leased;
	char *input_queue, *output_queue;
	char *exec;               /* of tasks with exec: what gridexec is told */
	int64_t concurrency, item_timeout_ms;
	char subject[LIMIT_TASK_NAME + 32];

	struct place *place;
	int listen_fd;            /* of the place; -1 before it listens, or without places */
	unsigned shared_port;     /* without places */
	bool ready;
	bool closing;             /* CLOSING: the task is let go of */
	bool dropped;             /* nobody is told any more */
	struct gateway_slot *gateway_slot; /* while a worker runs */
	void (*on_idle)(void *context);

	struct item_taker taker;  /* for looking whether there is anything */
	struct item_want want;
	uv_timer_t turn;          /* tells on_ready from the loop */
};

/* ---- the place ---- */

static void on_turn(uv_timer_t *timer)
{
	struct slot_service *service = timer->data;
	service->options.on_ready(service->options.context);
}

static void on_listening(void *context, int fd)
{
	struct slot_service *service = context;
	service->listen_fd = fd;
	service->ready = true;
	service->options.on_ready(service->options.context);
}

static void on_lost(void *context, const struct err *err)
{
	struct slot_service *service = context;
	service->ready = false;
	service->options.on_lost(service->options.context, err);
}

static void free_service(struct slot_service *service)
{
	if (service->listen_fd >= 0)
		(void)close(service->listen_fd);
	free(service->input_queue);
	free(service->output_queue);
	free(service->exec);
	free(service);
}

static void on_turn_closed(uv_handle_t *handle)
{
	free_service(handle->data);
}

static void on_turn_closed_tell(uv_handle_t *handle)
{
	struct slot_service *service = handle->data;
	if (!service->dropped)
		service->options.on_closed(service->options.context);
	free_service(service);
}

static void on_place_closed(void *context, const struct err *err)
{
	struct slot_service *service = context;
	service->place = NULL;
	if (err)
		log_warn(service->subject, "its place could not be removed: %s; it will be at the next start", err->text);
	uv_close((uv_handle_t *)&service->turn, on_turn_closed_tell);
}

static int open_place(struct slot_service *service, const struct task_config *task, struct err *err)
{
	const struct slot_service_options *options = &service->options;
	char name[NAME_SIZE];
	char instance[16];
	worker_name(task->task_name, options->node_id, options->instance, name, sizeof(name) - sizeof("-place"));
	(void)strcat(name, "-place");
	(void)snprintf(instance, sizeof(instance), "%u", options->instance);
	const char *const labels[] = {LABEL_NODE, options->node_id, LABEL_TASK, task->task_name,
				      LABEL_INSTANCE, instance, NULL};
	const struct place_spec spec = {
		.name = name, .labels = labels, .outbound = task->network == TASK_NETWORK_OUTBOUND};
	const struct place_events events = {
		.context = service, .on_listening = on_listening, .on_lost = on_lost, .on_closed = on_place_closed};
	service->place = options->ops->open_place(options->runtime, &spec, &events, err);
	return service->place ? 0 : (int)err->code;
}

static int share_listener(struct slot_service *service, struct err *err)
{
	service->shared_port = leases_shared_port(service->options.leases, err);
	if (!service->shared_port)
		return (int)err->code;
	service->ready = true;
	(void)uv_timer_start(&service->turn, on_turn, 0, 0);
	return 0;
}

/* ---- the worker ---- */

static void on_item_timeout(void *context)
{
	const struct slot_service *service = context;
	service->options.on_item_timeout(service->options.context);
}

static void on_idle(void *context)
{
	const struct slot_service *service = context;
	service->on_idle(service->options.context);
}

static int listen_in_place(struct slot_service *service, struct err *err)
{
	if (service->listen_fd < 0)
		return 0;
	int fd = fcntl(service->listen_fd, F_DUPFD_CLOEXEC, 0);
	if (fd < 0)
		return err_from_errno(err, errno, "cannot listen for the worker");
	return gateway_slot_listen(service->gateway_slot, fd, err);
}

/* Where the worker finds the gateway, with its password; NULL without memory. */
static char *url_of(const struct slot_service *service)
{
	char host[256] = "127.0.0.1";
	unsigned port = service->shared_port;
	if (service->place) { /* "host:port" */
		const char *address = service->options.ops->place_address(service->place);
		const char *colon = strrchr(address, ':');
		(void)snprintf(host, sizeof(host), "%.*s", (int)(colon - address), address);
		port = (unsigned)strtoul(colon + 1, NULL, 10);
	}
	return gateway_slot_url(service->gateway_slot, host, port);
}

char *slot_service_begin(struct slot_service *service, struct err *err)
{
	assert(service->ready && !service->gateway_slot);
	const struct gateway_slot_options options = {.pool = leased_task_pool(service->leased),
						     .input_queue = service->input_queue,
						     .output_queue = service->output_queue,
						     .exec = service->exec,
						     .concurrency = service->concurrency,
						     .item_timeout_ms = service->item_timeout_ms,
						     .subject = service->subject,
						     .context = service,
						     .on_item_timeout = on_item_timeout};
	service->gateway_slot = gateway_slot_new(leases_gateway(service->options.leases), &options);
	if (!service->gateway_slot) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	int rc = listen_in_place(service, err);
	char *url = rc ? NULL : url_of(service);
	if (url)
		return url;
	if (!rc)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	const struct gateway_end end = {.kind = GATEWAY_STOPPED};
	(void)slot_service_end(service, &end);
	return NULL;
}

bool slot_service_end(struct slot_service *service, const struct gateway_end *end)
{
	bool worked = service->gateway_slot && gateway_slot_worked(service->gateway_slot);
	gateway_slot_end(steal(service->gateway_slot), end);
	return worked;
}

bool slot_service_drain(struct slot_service *service, void (*on_service_idle)(void *context))
{
	if (!service->gateway_slot)
		return false;
	service->on_idle = on_service_idle;
	gateway_slot_drain(service->gateway_slot, on_idle);
	return true;
}

/* ---- waiting for items ---- */

/* Only to know that there is one: the worker that is started now pops it by itself. */
static void on_items(struct item_want *want, struct item_list *items)
{
	struct slot_service *service = (struct slot_service *)((char *)want - offsetof(struct slot_service, want));
	struct item *item;
	while ((item = item_list_shift(items)))
		item_pool_put_back(leased_task_pool(service->leased), &service->taker, item);
	service->options.on_items(service->options.context);
}

bool slot_service_await(struct slot_service *service)
{
	struct item_pool *pool = leased_task_pool(service->leased);
	if (item_pool_count(pool) != 0)
		return true;
	if (service->want.waiting)
		return false;
	service->want = (struct item_want){
		.taker = &service->taker, .min = 1, .max = 1, .blocking = true, .on_items = on_items};
	item_pool_want(pool, &service->want);
	return false;
}

/* ---- construction ---- */

bool slot_service_is_ready(const struct slot_service *service)
{
	return service->ready;
}

struct place *slot_service_place(const struct slot_service *service)
{
	return service->place;
}

static bool copy_queues(struct slot_service *service, const struct task_config *task)
{
	service->input_queue = strdup(task->input_queue);
	service->output_queue = task->output_queue ? strdup(task->output_queue) : NULL;
	return service->input_queue && (service->output_queue || !task->output_queue);
}

/* What IDM EXEC answers. */
static char *exec_text(const struct task_config *task)
{
	AUTO_JSON json_t *object = json_pack("{s:I, s:s?}", "item_timeout", task->item_timeout_s, "output_queue", task->output_queue);
	return object && exec_spec_put(object, &task->exec) ? json_dumps(object, JSON_COMPACT) : NULL;
}

static bool copy_exec(struct slot_service *service, const struct task_config *task)
{
	if (!task->exec.command)
		return true;
	/* gridexec ends its command by itself, and says so. */
	if (service->item_timeout_ms > 0)
		service->item_timeout_ms += EXEC_BACKSTOP_MS;
	service->exec = exec_text(task);
	return service->exec != NULL;
}

static void let_go(struct slot_service *service)
{
	struct item_pool *pool = leased_task_pool(service->leased);
	item_pool_unwant(pool, &service->want);
	item_pool_detach(pool, &service->taker);
	leased_task_release(service->leased);
}

struct slot_service *slot_service_new(uv_loop_t *loop, const struct slot_service_options *options, struct err *err)
{
	const struct task_config *task = options->task;
	struct slot_service *service = calloc(1, sizeof(*service));
	if (service) {
		service->loop = loop;
		service->options = *options;
		service->listen_fd = -1;
		service->concurrency = task->concurrency;
		service->item_timeout_ms = task->item_timeout_s * 1000;
		(void)snprintf(service->subject, sizeof(service->subject), "slot=%u task=%s", options->instance, task->task_name);
	}
	if (!service || !copy_queues(service, task) || !copy_exec(service, task) || !(service->leased = leases_take(options->leases, task))) {
		if (service)
			free_service(service);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	item_pool_attach(leased_task_pool(service->leased), &service->taker);
	(void)uv_timer_init(loop, &service->turn);
	service->turn.data = service;
	int rc = options->ops->open_place ? open_place(service, task, err) : share_listener(service, err);
	if (!rc)
		return service;
	let_go(service);
	uv_close((uv_handle_t *)&service->turn, on_turn_closed);
	return NULL;
}

static void end_worker(struct slot_service *service)
{
	const struct gateway_end end = {.kind = GATEWAY_STOPPED};
	service->ready = false;
	(void)slot_service_end(service, &end);
	let_go(service);
}

void slot_service_close(struct slot_service *service)
{
	service->closing = true;
	end_worker(service);
	if (service->place)
		service->options.ops->close_place(service->place);
	else
		uv_close((uv_handle_t *)&service->turn, on_turn_closed_tell);
}

void slot_service_drop(struct slot_service *service)
{
	if (!service)
		return;
	service->dropped = true;
	if (!service->closing)
		end_worker(service);
	if (!uv_is_closing((uv_handle_t *)&service->turn))
		uv_close((uv_handle_t *)&service->turn, on_turn_closed);
}
