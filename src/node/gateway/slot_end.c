/* Owns the beginning and the end of a slot's start, and its times: draining, item_timeout. Called by whoever runs
 * workers; what an exit means for each open item is decided here (rules 1, 3, 4 and 6), and nowhere else. */
#include "node/gateway/parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL_MAX = 8 * 1024, MANY = 16, MANY_TAIL_MAX = 1024 /* each of so many is told it */ };

/* ---- failures in words ---- */

static char *failure_text(const char *reason, const struct gateway_end *end, const char *tail)
{
	AUTO_JSON json_t *object = json_pack("{s:o}", "reason", json_lossy_string(reason));
	if (object && end) {
		(void)json_object_set_new(object, "exit_status", json_integer(end->exit_status));
		(void)json_object_set_new(object, "out_of_memory", json_boolean(end->out_of_memory));
	}
	if (object && tail)
		(void)json_object_set_new(object, "log_tail", json_lossy_string(tail));
	return object ? json_dumps(object, JSON_COMPACT) : NULL;
}

/* Escapes may make the text several times as long: a shorter end of the log then. */
void slot_fail_items(struct gateway_slot *slot, struct item_list *items, const char *reason, const struct gateway_end *end)
{
	if (items->count == 0)
		return;
	for (struct item *item = items->first; item; item = item->next) {
		if (item->list)
			private_list_forget(slot, item);
	}
	const char *tail = end ? end->log_tail : NULL;
	size_t room = items->count > MANY ? MANY_TAIL_MAX : TAIL_MAX;
	AUTO_FREE char *text = NULL;
	do {
		size_t len = tail ? strlen(tail) : 0;
		if (len > room)
			tail += len - room;
		free(text);
		text = failure_text(reason, end, tail);
		room /= 2;
	} while (text && strlen(text) > LIMIT_FAILURE && room > 0);
	item_pool_fail(slot->options.pool, &slot->taker, items, text ? text : "{}");
}

/* ---- times ---- */

static void on_timer(uv_timer_t *timer);

void slot_schedule(struct gateway_slot *slot, int64_t at_ms)
{
	if (at_ms >= slot->due_ms || slot->ending)
		return;
	int64_t wait = at_ms - clock_monotonic_ms();
	slot->due_ms = at_ms;
	(void)uv_timer_start(&slot->timer, on_timer, wait > 0 ? (uint64_t)wait : 0, 0);
}

void slot_check_idle(struct gateway_slot *slot)
{
	if (slot->draining && slot->on_idle && slot->open.count == 0)
		slot_schedule(slot, 0);
}

/* Marks what has been open for too long. The oldest stands first. */
static void check_item_timeout(struct gateway_slot *slot, int64_t now)
{
	int64_t timeout = slot->options.item_timeout_ms;
	if (timeout <= 0 || !slot->open.first)
		return;
	struct item *item = slot->open.first;
	for (; item && item->opened_ms + timeout <= now; item = item->next)
		item->timed_out = true;
	if (!slot->open.first->timed_out) {
		slot_schedule(slot, slot->open.first->opened_ms + timeout);
		return;
	}
	if (slot->told_timeout)
		return;
	slot->told_timeout = true;
	log_warn(slot->subject, "an item is open for longer than %lld ms: its worker is killed", (long long)timeout);
	slot->options.on_item_timeout(slot->options.context);
}

static void on_timer(uv_timer_t *timer)
{
	struct gateway_slot *slot = timer->data;
	slot->due_ms = INT64_MAX;
	slot_step(slot, NULL);
	if (slot->draining && slot->open.count == 0 && slot->on_idle) {
		void (*on_idle)(void *) = slot->on_idle;
		slot->on_idle = NULL;
		on_idle(slot->options.context);
		return; /* the slot may have ended */
	}
	check_item_timeout(slot, clock_monotonic_ms());
}

/* ---- beginning ---- */

static void free_slot(struct gateway_slot *slot)
{
	free(slot->input_queue);
	free(slot->output_queue);
	free(slot->exec);
	writes_done(&slot->kept);
	free(slot);
}

struct gateway_slot *gateway_slot_new(struct gateway *gateway, const struct gateway_slot_options *options)
{
	struct gateway_slot *slot = calloc(1, sizeof(*slot));
	if (!slot)
		return NULL;
	_Static_assert(sizeof(slot->password) == TOKEN_SIZE, "a password is a token");
	slot->gateway = gateway;
	slot->options = *options;
	slot->input_queue = strdup(options->input_queue);
	slot->output_queue = options->output_queue ? strdup(options->output_queue) : NULL;
	slot->exec = options->exec ? strdup(options->exec) : NULL;
	if (!slot->input_queue || (options->output_queue && !slot->output_queue) || (options->exec && !slot->exec)) {
		free_slot(slot);
		return NULL;
	}
	slot->options.input_queue = slot->input_queue;
	slot->options.output_queue = slot->output_queue;
	slot->options.exec = slot->exec;
	slot->input_len = strlen(slot->input_queue);
	slot->targets = (struct write_targets){.input_queue = slot->input_queue, .output_queue = slot->output_queue};
	text_copy(slot->subject, sizeof(slot->subject), options->subject);
	slot->options.subject = slot->subject;
	random_token(slot->password);
	writes_init(&slot->kept);
	item_pool_attach(options->pool, &slot->taker);
	(void)uv_timer_init(gateway->loop, &slot->timer);
	slot->timer.data = slot;
	slot->due_ms = INT64_MAX;
	slot->next = gateway->slots;
	if (slot->next)
		slot->next->prev = slot;
	gateway->slots = slot;
	return slot;
}

char *gateway_slot_url(const struct gateway_slot *slot, const char *host, unsigned port)
{
	struct buf url;
	buf_init(&url, 4096);
	bool ipv6 = strchr(host, ':') != NULL;
	int rc = buf_printf(&url, "redis://:%s@%s%s%s:%u/0", slot->password, ipv6 ? "[" : "", host, ipv6 ? "]" : "", port);
	char *text = rc ? NULL : buf_steal(&url);
	buf_done(&url);
	return text;
}

int gateway_slot_listen(struct gateway_slot *slot, int fd, struct err *err)
{
	assert(!slot->listener);
	return gateway_open_listener(slot->gateway, slot, fd, CONNECTIONS_MAX, &slot->listener, err);
}

size_t gateway_slot_open(const struct gateway_slot *slot)
{
	return slot->open.count;
}

bool gateway_slot_worked(const struct gateway_slot *slot)
{
	return slot->worked;
}

/* ---- draining ---- */

void gateway_slot_drain(struct gateway_slot *slot, void (*on_idle)(void *context))
{
	slot->on_idle = on_idle;
	slot->draining = true;
	for (struct gateway_session *session = slot->sessions; session; session = session->next) {
		if (session->pop.want.waiting && session->pop.want.max > 0)
			item_pool_unwant(slot->options.pool, &session->pop.want);
	}
	slot_check_idle(slot);
}

/* ---- the end ---- */

/* Rules 1 and 4; what stands in a private list was never removed from it (rule 6). */
static void end_exited(struct gateway_slot *slot, const struct gateway_end *end)
{
	struct item_list done = {0};
	struct item_list silent = {0};
	struct item_list unremoved = {0};
	for (struct item *item; (item = item_list_shift(&slot->open));) {
		struct item_list *to = evidence_is_there_at_exit(slot, item) ? &done : &silent;
		item_list_push(item->list ? &unremoved : to, item);
	}
	slot_close_items(slot, &done);
	slot_fail_items(slot, &silent, "exit_without_result", end);
	slot_fail_items(slot, &unremoved, "exit_without_removal", end);
}

/* Rule 3. What has landed in part is closed, and takes what was kept since only where nothing goes back that could own it. */
static void end_stopped(struct gateway_slot *slot)
{
	struct item_list landed = {0};
	struct item_list back = {0};
	for (struct item *item; (item = item_list_shift(&slot->open));)
		item_list_push(item->landed && !item->list ? &landed : &back, item);
	if (back.count > 0) {
		writes_done(&slot->kept);
		writes_init(&slot->kept);
	}
	slot_close_items(slot, &landed);
	slot_return_items(slot, &back);
}

/* They fail whatever else is decided; the rest of the worker's items then ended by a signal of ours. */
static bool fail_timed_out(struct gateway_slot *slot, const struct gateway_end *end)
{
	struct item_list late = {0};
	struct item *next = NULL;
	for (struct item *item = slot->open.first; item; item = next) {
		next = item->next;
		if (!item->timed_out)
			continue;
		item_list_remove(&slot->open, item);
		item_list_push(&late, item);
	}
	bool any = late.count > 0;
	slot_fail_items(slot, &late, "item_timeout", end);
	return any;
}

static void on_closed(uv_handle_t *handle)
{
	free_slot(handle->data);
}

void gateway_slot_end(struct gateway_slot *slot, const struct gateway_end *end)
{
	if (!slot)
		return;
	slot->ending = true;
	(void)slot_read_dry(slot, NULL); /* pops that are found now are nobody's */
	bool late = fail_timed_out(slot, end);
	if (late || end->kind == GATEWAY_STOPPED)
		end_stopped(slot);
	else if (end->kind == GATEWAY_EXITED)
		end_exited(slot, end);
	else
		slot_fail_items(slot, &slot->open, end->reason ? end->reason : "exit", end);
	while (slot->sessions)
		session_close(slot->sessions);
	struct gateway_session *next = NULL;
	for (struct gateway_session *session = slot->gateway->strangers; session; session = next) {
		next = session->next;
		if (session->only == slot)
			session_close(session);
	}
	listener_close(slot->listener);
	private_lists_done(slot);
	item_pool_detach(slot->options.pool, &slot->taker);
	if (slot->prev)
		slot->prev->next = slot->next;
	else
		slot->gateway->slots = slot->next;
	if (slot->next)
		slot->next->prev = slot->prev;
	uv_close((uv_handle_t *)&slot->timer, on_closed);
}
