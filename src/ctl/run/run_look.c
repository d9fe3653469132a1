/* Owns what a run knows of its task's state at the hub: asked once a second, and shown. Called by its own timer; what follows
 * from it is decided in run_flow.c. */
#include "ctl/run/run_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/text.h"

#include <string.h>

enum { LOOK_EVERY_MS = 1000, LIST_EVERY_MS = 5000, NODES_EVERY_MS = 5000, HOSTNAMES_MAX = 10 * 1000 };

static int64_t number(json_t *object, const char *field)
{
	return json_integer_value(json_object_get(object, field));
}

static const char *text(json_t *object, const char *field)
{
	const char *value = json_string_value(json_object_get(object, field));
	return value ? value : "";
}

/* ---- the task ---- */

static void take_task(struct run *run, json_t *task)
{
	struct run_look *look = &run->look;
	json_t *progress = json_object_get(task, "progress");
	look->known = true;
	look->serial++;
	text_copy(look->status, sizeof(look->status), text(task, "status"));
	text_copy(look->blocked, sizeof(look->blocked), text(progress, "blocked"));
	look->paused = json_is_true(json_object_get(task, "paused"));
	look->numbers = json_is_integer(json_object_get(progress, "done"));
	look->waiting = number(progress, "waiting");
	look->leased = number(progress, "leased");
	look->done = number(progress, "done");
	look->dead = number(progress, "dead");
	if (strcmp(look->status, "pending") != 0) {
		look->ahead = 0;
		look->behind[0] = '\0';
	}
}

static void on_task(void *context, const struct hub_answer *answer)
{
	struct run *run = context;
	run->look_call = NULL;
	if (answer->err) {
		if (answer->status == 404)
			run_fail(run, answer->err);
		return; /* another trouble may be over at the next look; a hub that is away is waited for by the call itself */
	}
	take_task(run, answer->json);
	rate_note(&run->rate, clock_monotonic_ms(), run->attached ? run->look.done : run->tracker.finished_count);
	run_dead_look(run);
	run_halt_look(run);
	run_consider(run);
}

static struct hub_call *ask(struct run *run, const char *path, hub_on_answer *on_answer)
{
	struct err err;
	const struct hub_request request = {.method = "GET", .path = path};
	return path ? hub_call_start(run->ctl, &request, on_answer, run, &err) : NULL;
}

/* ---- its place in the queue ---- */

static void on_list(void *context, const struct hub_answer *answer)
{
	struct run *run = context;
	json_t *pending = json_object_get(answer->json, "pending");
	json_t *name;
	size_t i;
	run->list_call = NULL;
	if (answer->err || strcmp(run->look.status, "pending") != 0)
		return;
	const char *current = text(answer->json, "current");
	text_copy(run->look.behind, sizeof(run->look.behind), current);
	run->look.ahead = *current ? 1 : 0;
	json_array_foreach(pending, i, name) {
		if (json_is_string(name) && strcmp(json_string_value(name), run->name) == 0)
			break;
		run->look.ahead++;
	}
}

/* ---- the nodes ---- */

static void on_nodes(void *context, const struct hub_answer *answer)
{
	struct run *run = context;
	json_t *node;
	size_t i;
	int64_t online = 0;
	run->nodes_call = NULL;
	if (answer->err || !json_is_array(answer->json))
		return;
	json_array_foreach(answer->json, i, node) {
		const char *hostname = text(node, "hostname");
		if (strcmp(text(node, "status"), "Online") == 0)
			online++;
		if (*hostname && json_object_size(run->hostnames) < HOSTNAMES_MAX)
			(void)json_object_set_new(run->hostnames, text(node, "id"), json_string(hostname));
	}
	run->look.nodes = online;
}

/* ---- once a second ---- */

static void on_timer(uv_timer_t *timer)
{
	struct run *run = timer->data;
	int64_t now = clock_monotonic_ms();
	if (run->over)
		return;
	if (!run->look_call) {
		AUTO_FREE char *path = hub_path("/api/tasks/", run->name, "");
		run->look_call = ask(run, path, on_task);
	}
	if (!run->list_call && strcmp(run->look.status, "pending") == 0 && now - run->list_ms >= LIST_EVERY_MS) {
		run->list_ms = now;
		run->list_call = ask(run, "/api/tasks", on_list);
	}
	if (!run->nodes_call && (run->nodes_ms == 0 || now - run->nodes_ms >= NODES_EVERY_MS)) {
		run->nodes_ms = now;
		run->nodes_call = ask(run, "/api/nodes", on_nodes);
	}
	run_show(run);
}

int run_look_begin(struct run *run)
{
	run->look.nodes = -1;
	run->look_timer.data = run;
	run->hostnames = json_object();
	if (!run->hostnames || uv_timer_init(&run->ctl->loop, &run->look_timer))
		return ERR_NOMEM;
	run->timer_open = true;
	return uv_timer_start(&run->look_timer, on_timer, 0, LOOK_EVERY_MS) ? ERR_INTERNAL : 0;
}

static void on_closed(uv_handle_t *handle)
{
	struct run *run = handle->data;
	run->timer_open = false;
}

void run_look_end(struct run *run)
{
	hub_call_cancel(steal(run->look_call));
	hub_call_cancel(steal(run->list_call));
	hub_call_cancel(steal(run->nodes_call));
	hub_call_cancel(steal(run->dead_call));
	json_decref(steal(run->hostnames));
	if (run->timer_open && !uv_is_closing((uv_handle_t *)&run->look_timer))
		uv_close((uv_handle_t *)&run->look_timer, on_closed);
}

/* ---- showing ---- */

static const char *state_of(const struct run *run, char *into, size_t size)
{
	const struct run_look *look = &run->look;
	if (run->ctl->hub_trouble)
		return "the hub does not answer";
	if (!look->known)
		return NULL;
	if (*look->behind && look->ahead > 1)
		(void)snprintf(into, size, "waits behind %s and %lld more", look->behind, (long long)look->ahead - 1);
	else if (*look->behind)
		(void)snprintf(into, size, "waits behind %s", look->behind);
	else if (strcmp(look->status, "pending") == 0)
		(void)snprintf(into, size, "waits for its turn");
	else if (*look->blocked)
		(void)snprintf(into, size, "blocked: %s", look->blocked);
	else if (look->paused)
		(void)snprintf(into, size, "paused");
	else if (look->nodes == 0)
		(void)snprintf(into, size, "no node is online");
	else
		return NULL;
	return into;
}

void run_show(struct run *run)
{
	char state[256];
	int64_t now = clock_monotonic_ms();
	int64_t total = !run->attached ? run_input_total(&run->input) : run->push ? items_push_count(run->push) : run->pushed;
	bool grows = !run->push_done && (total < 0 || run->attached);
	bool partial = run->output->bar || run->ctl->err.is_one;
	if (run->question || (!sink_is_at_line_start(run->sink) && run->ctl->out.is_one && partial))
		return;
	if (total < 0)
		total = run->tracker.given;
	const struct progress_view view = {.name = run->name,
					   .state = state_of(run, state, sizeof(state)),
					   .total = total,
					   .grows = grows,
					   .done = run->attached ? run->look.done : run->tracker.finished_count,
					   .failed = run->attached ? run->look.dead : run->tracker.failed_count,
					   .rate = rate_per_second(&run->rate, now),
					   .nodes = run->look.nodes};
	live_line_show(&run->live, &view, now);
}
