/* Owns the joining of a slot with its service. Called by slots.c; decides neither what runs nor what becomes of an item. */
#include "node/seat.h"

#include "base/cleanup.h"
#include "base/log.h"

static void close_service(struct seat *seat);

/* ---- what the service tells ---- */

static void on_ready(void *context)
{
	const struct seat *seat = context;
	slot_retry(seat->slot);
}

static bool has_worker(const struct seat *seat)
{
	return seat->slot->state != SLOT_EMPTY && seat->slot->state != SLOT_BACKOFF;
}

static void on_lost(void *context, const struct err *err)
{
	struct seat *seat = context;
	seat->lost = true;
	seat->trouble = *err;
	if (has_worker(seat))
		slot_kill(seat->slot, "the place where it meets the gateway is gone");
	else
		close_service(seat);
}

static void on_items(void *context)
{
	const struct seat *seat = context;
	slot_retry(seat->slot);
}

static void on_item_timeout(void *context)
{
	const struct seat *seat = context;
	slot_kill(seat->slot, "it had an item for longer than item_timeout");
}

static void on_closed(void *context)
{
	struct seat *seat = context;
	bool lost = seat->lost;
	seat->service = NULL;
	seat->closing = seat->lost = false;
	if (lost)
		slot_fail(seat->slot, &seat->trouble);
	else
		slot_retry(seat->slot);
	seat->on_closed(seat->context);
}

static void close_service(struct seat *seat)
{
	seat->closing = true;
	slot_service_close(seat->service);
}

/* ---- the slot's side ---- */

void seat_init(struct seat *seat, struct slot *slot, uv_loop_t *loop, struct leases *leases, void (*on_seat_closed)(void *context),
	       void *context)
{
	*seat = (struct seat){.slot = slot, .loop = loop, .leases = leases, .on_closed = on_seat_closed, .context = context};
}

static int open_service(struct seat *seat, const struct task_config *task, struct runtime *runtime, const char *node_id,
			struct err *err)
{
	const struct slot_service_options options = {.leases = seat->leases,
						     .task = task,
						     .ops = seat->slot->runtime,
						     .runtime = runtime,
						     .node_id = node_id,
						     .instance = seat->slot->index,
						     .context = seat,
						     .on_ready = on_ready,
						     .on_lost = on_lost,
						     .on_items = on_items,
						     .on_item_timeout = on_item_timeout,
						     .on_closed = on_closed};
	seat->service = slot_service_new(seat->loop, &options, err);
	return seat->service ? 0 : (int)err->code;
}

char *seat_take(struct seat *seat, const struct task_config *task, struct runtime *runtime, const char *node_id, struct err *err)
{
	if (!seat->service && open_service(seat, task, runtime, node_id, err))
		return NULL;
	if (seat->closing || seat->lost || !slot_service_is_ready(seat->service)) {
		(void)err_set(err, ERR_UNREACHABLE, "the place where the worker meets the gateway is not there yet");
		return NULL;
	}
	if (seat->exited_well && !slot_service_await(seat->service)) {
		(void)err_set(err, ERR_UNREACHABLE, "no items are waiting");
		return NULL;
	}
	return slot_service_begin(seat->service, err);
}

struct place *seat_place(const struct seat *seat)
{
	return seat->service ? slot_service_place(seat->service) : NULL;
}

static void on_idle(void *context)
{
	const struct seat *seat = context;
	slot_drained(seat->slot);
}

bool seat_drain(struct seat *seat)
{
	return seat_is_taken(seat) && slot_service_drain(seat->service, on_idle);
}

bool seat_end(struct seat *seat, const struct worker_exit *result, bool stopped)
{
	if (!seat_is_taken(seat))
		return false;
	struct gateway_end end = {.kind = GATEWAY_STOPPED};
	if (result) {
		end.exit_status = result->status;
		end.out_of_memory = result->out_of_memory;
		end.log_tail = result->log_tail;
	}
	if (result && !stopped)
		end.kind = result->status == 0 && !result->out_of_memory ? GATEWAY_EXITED : GATEWAY_FAILED;
	seat->exited_well = end.kind == GATEWAY_EXITED;
	return slot_service_end(seat->service, &end);
}

void seat_follow(struct seat *seat)
{
	bool over = seat->slot->state == SLOT_EMPTY || (seat->lost && seat->slot->state == SLOT_BACKOFF);
	if (over && seat_is_taken(seat))
		close_service(seat);
	if (seat->slot->state == SLOT_EMPTY)
		seat->lost = seat->exited_well = false; /* that was the old task; the next one only waits for the closing */
}

bool seat_is_taken(const struct seat *seat)
{
	return seat->service && !seat->closing;
}

bool seat_is_free(const struct seat *seat)
{
	return !seat->service;
}

void seat_drop(struct seat *seat)
{
	slot_service_drop(steal(seat->service));
}
