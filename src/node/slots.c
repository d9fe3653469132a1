/* Owns the slots, their common task and its image. Called by the agent; never talks to the hub.
 *
 * The task's image:
 *
 *   NONE --a task, and the runtime is ready--> PREPARING --here--> READY (empty slots start)
 *     ^                                            |
 *     |                                            +--failed--> FAILED --timer (growing), or the runtime is back--> PREPARING
 *     +---------------- no task, another task ----------+
 *
 *   REFUSED: the owner of the machine does not allow this task here, or it has nothing that the runtime can run; only
 *   another task ends that. A runtime without images goes from NONE to READY at once.
 *
 * A slot that becomes EMPTY starts the current task's container if the image is READY; so at a switch each slot changes
 * over by itself, as soon as its old container has gone. */
#include "node/slots.h"

#include "base/backoff.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"
#include "node/seat.h"
#include "node/slot.h"
#include "node/worker_description.h"

#include <assert.h>
#include <fnmatch.h>
#include <string.h>

enum { LEASED_KILL_MS = 5000 }; /* from SIGTERM to SIGKILL, for a worker that had its time to finish before */
enum { IMAGE_RETRY_BASE_MS = 5000, IMAGE_RETRY_MAX_MS = 120000, PULL_TEXT_MAX = 256, PULL_LOG_STEP = 10 };

enum image_state { IMAGE_NONE, IMAGE_PREPARING, IMAGE_READY, IMAGE_FAILED, IMAGE_REFUSED };

struct slots {
	struct slots_options options;
	struct runtime *runtime; /* NULL: does not answer */
	const char *node_id;     /* defined while there is a runtime */
	struct slot_owner owner;

	bool has_task;
	struct task_config task; /* defined while has_task */

	enum image_state image_state;
	struct image_call *image_call; /* while PREPARING */
	struct backoff image_backoff;
	uv_timer_t image_timer;
	char image_error[ERR_TEXT_MAX]; /* while FAILED or REFUSED */
	char pull_text[PULL_TEXT_MAX];  /* while PREPARING; "" before the pull reports */
	int pull_logged_percent;

	struct leased_task *leased; /* of a leased task; else NULL */

	unsigned handles;    /* libuv handles not yet closed */
	struct seat *seats;  /* options.count, as the slots */
	struct slot slots[]; /* options.count */
};

static void changed(struct slots *slots)
{
	slots->options.on_change(slots->options.context);
}

/* ---- containers ---- */

/* What they waited for is there now: the image, the engine. */
static void start_slots(struct slots *slots)
{
	for (size_t i = 0; i < slots->options.count; i++) {
		struct slot *slot = &slots->slots[i];
		if (slot->state == SLOT_EMPTY)
			slot_run(slot);
		else
			slot_retry(slot);
	}
}

static struct seat *seat_of(const struct slots *slots, const struct slot *slot)
{
	return &slots->seats[slot->index];
}

static struct worker *start_described(struct slots *slots, const struct slot *slot, const char *gateway_url,
				      const struct worker_events *events, struct err *err)
{
	const struct worker_home home = {
		.node_id = slots->node_id,
		.instance = slot->index,
		.platform = slots->options.platform,
		.cpus = slots->options.cpus,
		.memory_mb = slots->task.memory_mb ? slots->task.memory_mb : slots->options.memory_mb,
		.gateway_url = gateway_url,
		.place = gateway_url ? seat_place(seat_of(slots, slot)) : NULL,
	};
	struct worker_description *description = worker_description_new(&slots->task, &home, err);
	if (!description)
		return NULL;
	struct worker *worker =
		slots->options.ops->start(slots->runtime, worker_description_spec(description), events, err);
	worker_description_free(description);
	return worker;
}

static struct worker *start_worker(void *context, struct slot *slot, const struct worker_events *events, struct err *err)
{
	struct slots *slots = context;
	if (!slots->runtime || slots->image_state != IMAGE_READY) {
		(void)err_set(err, ERR_UNREACHABLE, slots->runtime ? "the image is not here yet"
								   : "the container engine does not answer");
		return NULL;
	}
	if (slots->task.delivery == DELIVERY_DIRECT)
		return start_described(slots, slot, NULL, events, err);
	struct seat *seat = seat_of(slots, slot);
	AUTO_FREE char *url = seat_take(seat, &slots->task, slots->runtime, slots->node_id, err);
	struct worker *worker = url ? start_described(slots, slot, url, events, err) : NULL;
	if (url && !worker)
		(void)seat_end(seat, NULL, true);
	return worker;
}

static bool drain(void *context, struct slot *slot)
{
	return seat_drain(seat_of(context, slot));
}

static bool on_end(void *context, struct slot *slot, const struct worker_exit *result, bool stopped)
{
	return seat_end(seat_of(context, slot), result, stopped);
}

bool slots_are_empty(const struct slots *slots)
{
	for (size_t i = 0; i < slots->options.count; i++) {
		if (slots->slots[i].state != SLOT_EMPTY || !seat_is_free(&slots->seats[i]))
			return false;
	}
	return true;
}

static void tell_if_empty(struct slots *slots)
{
	if (!slots->has_task && slots_are_empty(slots))
		slots->options.on_empty(slots->options.context);
}

static void on_seat_closed(void *context)
{
	tell_if_empty(context);
}

static void prepare_image(struct slots *slots);

static bool has_images(const struct slots *slots)
{
	return slots->options.ops->prepare_image != NULL;
}

static void on_slot_change(void *context, struct slot *slot)
{
	struct slots *slots = context;
	seat_follow(seat_of(slots, slot));
	if (slot->state == SLOT_BACKOFF && slot->error_code == ERR_NOT_FOUND && slots->image_state == IMAGE_READY &&
	    has_images(slots))
		prepare_image(slots); /* somebody removed it meanwhile */
	bool can_start = slots->image_state == IMAGE_READY && slots->runtime;
	if (slot->state == SLOT_EMPTY && slots->has_task && can_start)
		slot_run(slot);
	changed(slots);
	if (slot->state == SLOT_EMPTY)
		tell_if_empty(slots);
}

/* ---- the image ---- */

static void on_image_timer(uv_timer_t *timer)
{
	prepare_image(timer->data);
}

static void image_failed(struct slots *slots, const char *text)
{
	slots->image_state = IMAGE_FAILED;
	int64_t wait_ms = backoff_next_ms(&slots->image_backoff, random_u32());
	text_copy(slots->image_error, sizeof(slots->image_error), text);
	(void)uv_timer_start(&slots->image_timer, on_image_timer, (uint64_t)wait_ms, 0);
	log_error(NULL, "task \"%s\": %s; next try in %.0f s", slots->task.task_name, text, (double)wait_ms / 1000);
}

static void on_image_done(void *context, const struct err *err)
{
	struct slots *slots = context;
	slots->image_call = NULL;
	if (err) {
		image_failed(slots, err->text);
	} else {
		log_info(NULL, "task \"%s\": the image %s is ready", slots->task.task_name, slots->task.image);
		slots->image_state = IMAGE_READY;
		backoff_reset(&slots->image_backoff);
		if (slots->runtime)
			start_slots(slots);
	}
	changed(slots);
}

static void on_image_progress(void *context, int percent, const char *text)
{
	struct slots *slots = context;
	bool begins = slots->pull_text[0] == '\0';
	text_copy(slots->pull_text, sizeof(slots->pull_text), text);
	if (percent < 0 || percent >= slots->pull_logged_percent + PULL_LOG_STEP) {
		if (percent >= 0 || slots->pull_logged_percent == 0)
			log_info(NULL, "pulling %s: %s", slots->task.image, text);
		slots->pull_logged_percent = percent < 0 ? 1 : percent;
	}
	if (begins)
		changed(slots); /* how it goes on, the usual heartbeats tell */
}

static bool is_allowed_image(const struct config_strings *allowed, const char *image)
{
	bool fits = false;
	for (size_t i = 0; i < allowed->count && !fits; i++)
		fits = fnmatch(allowed->items[i], image, 0) == 0;
	return fits;
}

/* What cannot run here, or what the owner of the machine does not want, stops here, before anything is fetched with the
 * owner's credentials. */
static bool is_refused(struct slots *slots)
{
	slots->image_error[0] = '\0';
	if (!has_images(slots) && !slots->task.command && !slots->task.exec.command)
		text_copy(slots->image_error, sizeof(slots->image_error),
			  "the task has no command, and this node runs no containers (runtime = \"process\")");
	else if (has_images(slots) && !slots->task.image)
		text_copy(slots->image_error, sizeof(slots->image_error), "the task has no image for this platform");
	else if (has_images(slots) && !is_allowed_image(slots->options.allow_images, slots->task.image))
		(void)snprintf(slots->image_error, sizeof(slots->image_error),
			       "this machine's owner does not allow the image %s (allow_images)", slots->task.image);
	else if (slots->options.memory_max_mb && slots->task.memory_mb > slots->options.memory_max_mb)
		(void)snprintf(slots->image_error, sizeof(slots->image_error),
			       "the task wants %lld MB for each container, this machine's owner allows %lld "
			       "(container_memory_max)",
			       (long long)slots->task.memory_mb, (long long)slots->options.memory_max_mb);
	else if (slots->task.delivery == DELIVERY_LEASED && slots->task.network == TASK_NETWORK_OUTBOUND &&
		 !slots->options.allow_network)
		(void)snprintf(slots->image_error, sizeof(slots->image_error),
			       "the task wants the network beyond its gateway, this machine's owner does not allow it "
			       "(allow_network)");
	return slots->image_error[0] != '\0';
}

static void prepare_image(struct slots *slots)
{
	if (!slots->runtime)
		return; /* slots_use_runtime comes back */
	const struct image_events events = {
		.context = slots, .on_progress = on_image_progress, .on_done = on_image_done};
	struct err err = {0};
	if (!has_images(slots)) {
		slots->image_state = IMAGE_READY;
		start_slots(slots);
		return;
	}
	slots->image_state = IMAGE_PREPARING;
	slots->pull_text[0] = '\0';
	slots->pull_logged_percent = 0;
	slots->image_call = slots->options.ops->prepare_image(slots->runtime, slots->task.image, slots->options.platform,
							      &events, &err);
	if (!slots->image_call)
		image_failed(slots, err.text);
}

static void forget_image(struct slots *slots)
{
	if (slots->image_call)
		slots->options.ops->cancel_image(steal(slots->image_call));
	(void)uv_timer_stop(&slots->image_timer);
	backoff_reset(&slots->image_backoff);
	slots->image_state = IMAGE_NONE;
}

/* ---- the task ---- */

static void retire_all(struct slots *slots)
{
	int64_t timeout_ms = slots->options.stop_timeout_ms;
	for (size_t i = 0; i < slots->options.count; i++) {
		if (seat_is_taken(&slots->seats[i]))
			slot_retire(&slots->slots[i], timeout_ms, LEASED_KILL_MS);
		else
			slot_retire(&slots->slots[i], 0, timeout_ms);
	}
}

/* The items of a task that is over go back as far as no worker has them; the pool lives on for those that do. */
static void let_go_of_leased(struct slots *slots)
{
	if (!slots->leased)
		return;
	leased_task_retire(slots->leased);
	leased_task_release(steal(slots->leased));
}

static void warn_of_shared_cpus(const struct slots *slots)
{
	size_t per_slot = (size_t)slots->task.cpus;
	if (!cpus_are_exclusive(slots->options.cpus, slots->options.count, per_slot))
		log_warn(NULL, "task \"%s\": %zu containers of %zu CPUs on %zu CPUs share them", slots->task.task_name,
			 slots->options.count, per_slot, slots->options.cpus->count);
}

static void begin_task(struct slots *slots)
{
	if (has_images(slots) && slots->task.image)
		log_info(NULL, "task \"%s\": image %s", slots->task.task_name, slots->task.image);
	else
		log_info(NULL, "task \"%s\"", slots->task.task_name);
	warn_of_shared_cpus(slots);
	bool leased = slots->task.delivery == DELIVERY_LEASED;
	bool refused = is_refused(slots);
	if (leased && !refused && !(slots->leased = leases_take(slots->options.leases, &slots->task))) {
		text_copy(slots->image_error, sizeof(slots->image_error), "out of memory");
		refused = true;
	}
	if (refused) {
		slots->image_state = IMAGE_REFUSED;
		log_error(NULL, "task \"%s\": %s", slots->task.task_name, slots->image_error);
	} else {
		prepare_image(slots);
	}
}

void slots_set_task(struct slots *slots, const struct task_config *task)
{
	if (!task && !slots->has_task)
		return;
	if (task && slots->has_task && task_config_equal(task, &slots->task))
		return;
	forget_image(slots);
	if (slots->has_task)
		task_config_done(&slots->task);
	slots->has_task = task != NULL;
	if (task) {
		slots->task = *task;
		(void)json_incref(slots->task.object);
	} else {
		log_info(NULL, "no task");
	}
	bool was_empty = slots_are_empty(slots);
	let_go_of_leased(slots);
	retire_all(slots); /* tells on_empty itself where the last one ends at once */
	if (task)
		begin_task(slots);
	else if (was_empty)
		slots->options.on_empty(slots->options.context);
	changed(slots);
}

void slots_use_runtime(struct slots *slots, struct runtime *runtime, const char *node_id)
{
	slots->runtime = runtime;
	slots->node_id = node_id;
	if (!runtime || !slots->has_task)
		return;
	if (slots->image_state == IMAGE_READY) {
		start_slots(slots);
	} else if (slots->image_state == IMAGE_NONE || slots->image_state == IMAGE_FAILED) {
		(void)uv_timer_stop(&slots->image_timer);
		prepare_image(slots);
	}
}

bool slots_hurry(struct slots *slots)
{
	bool hurried = false;
	for (size_t i = 0; i < slots->options.count; i++)
		hurried = slot_hurry(&slots->slots[i]) || hurried;
	return hurried;
}

/* ---- reading ---- */

void slots_status(const struct slots *slots, struct slots_status *status)
{
	*status = (struct slots_status){0};
	const char *slot_error = NULL;
	unsigned running = 0;
	for (size_t i = 0; i < slots->options.count; i++) {
		const struct slot *slot = &slots->slots[i];
		running += slot->state == SLOT_RUNNING;
		status->active += slot->state == SLOT_RUNNING || slot->state == SLOT_DRAINING || slot->state == SLOT_STOPPING;
		if (!slot_error && slot->error[0] && slot->state != SLOT_RUNNING)
			slot_error = slot->error;
	}
	bool image_trouble = slots->image_state == IMAGE_FAILED || slots->image_state == IMAGE_REFUSED;
	status->error = image_trouble ? slots->image_error : slot_error;
	status->failing = image_trouble || (slot_error && running == 0);
	if (slots->image_state == IMAGE_PREPARING && slots->pull_text[0])
		status->pull = slots->pull_text;
}

/* ---- construction ---- */

struct slots *slots_new(uv_loop_t *loop, const struct slots_options *options)
{
	struct slots *slots = calloc(1, sizeof(*slots) + options->count * sizeof(struct slot));
	struct seat *seats = calloc(options->count, sizeof(*seats));
	if (!slots || !seats) {
		free(slots);
		free(seats);
		return NULL;
	}
	slots->seats = seats;
	slots->options = *options;
	slots->handles = (unsigned)options->count + 1;
	slots->owner = (struct slot_owner){
		.context = slots, .start_worker = start_worker, .drain = drain, .on_end = on_end, .on_change = on_slot_change};
	slots->image_backoff = BACKOFF(IMAGE_RETRY_BASE_MS, IMAGE_RETRY_MAX_MS);
	(void)uv_timer_init(loop, &slots->image_timer);
	slots->image_timer.data = slots;
	for (size_t i = 0; i < options->count; i++) {
		slot_init(&slots->slots[i], (unsigned)i, loop, options->ops, &slots->owner);
		seat_init(&slots->seats[i], &slots->slots[i], loop, options->leases, on_seat_closed, slots);
	}
	return slots;
}

static void on_timer_closed(struct slots *slots)
{
	if (--slots->handles > 0)
		return;
	free(slots->seats);
	free(slots);
}

static void on_image_timer_closed(uv_handle_t *handle)
{
	on_timer_closed(handle->data);
}

static void on_slot_closed(uv_handle_t *handle)
{
	const struct slot *slot = handle->data;
	on_timer_closed(slot->owner->context);
}

void slots_close(struct slots *slots)
{
	if (!slots)
		return;
	if (slots->has_task)
		task_config_done(&slots->task);
	uv_close((uv_handle_t *)&slots->image_timer, on_image_timer_closed);
	if (slots->leased)
		leased_task_release(slots->leased);
	for (size_t i = 0; i < slots->options.count; i++) {
		seat_drop(&slots->seats[i]);
		slot_close(&slots->slots[i], on_slot_closed);
	}
}
