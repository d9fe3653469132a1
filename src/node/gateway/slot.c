/* Owns what one start of a slot has open: its items, the writes kept for them, and the order of its pops. Called by its
 * sessions; never touches a socket, never parses.
 *
 * An item, while it is open:
 *
 *   pop answered --> OPEN(session) --next pop on that connection; any pop, if concurrency is 1--> done with all kept writes
 *                      |  connection ends
 *                      v
 *                    OPEN(no session) --next pop of the slot, exit 0--> written since (evidence.c): done;  nothing written: failed
 *   moved into a private list --> OPEN(list) --LREM, moved to the output--> done      moved back --> returned
 *   exit by itself with another status --> failed      stopped by anyone --> returned (landed: done)
 *
 * A pop: all connections of the slot are read dry, and what stands behind the pop on its own is carried out ahead but for
 * further pops (its replies wait); then it closes what it closes, also when nothing is there to be had; then it takes items
 * or waits. When items come to one that waits, all is read dry again before they open: what was written until then belongs
 * to what was open before.
 *
 * Failure modes: a command is half received and its rest does not come: waited for, a second at most. The connection ends in
 * the middle of a pop: nothing is closed by it, granted items go to the next who wants one. */
#include "node/gateway/parts.h"

#include "base/clock.h"
#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { HALF_MS = 1000 };

/* ---- pops in their order ---- */

void slot_add_pop(struct gateway_slot *slot, struct gateway_session *session)
{
	session->pop.next = NULL;
	if (slot->last_pop)
		slot->last_pop->pop.next = session;
	else
		slot->first_pop = session;
	slot->last_pop = session;
}

void slot_remove_pop(struct gateway_slot *slot, struct gateway_session *session)
{
	struct gateway_session *before = NULL;
	for (struct gateway_session *at = slot->first_pop; at; before = at, at = at->pop.next) {
		if (at != session)
			continue;
		if (before)
			before->pop.next = at->pop.next;
		else
			slot->first_pop = at->pop.next;
		if (slot->last_pop == at)
			slot->last_pop = before;
		at->pop.next = NULL;
		return;
	}
}

bool slot_read_dry(struct gateway_slot *slot, const struct gateway_session *just_read)
{
	bool dry = true;
	struct gateway_session *next = NULL;
	for (struct gateway_session *session = slot->sessions; session; session = next) {
		next = session->next;
		if (session == just_read && session->dry)
			; /* just now */
		else
			session_read(session);
		if (session != just_read && !session->closed)
			session_flush(session);
		if (!session->closed && session_is_half(session))
			dry = false;
	}
	return dry;
}

/* ---- what closes ---- */

static void note_landed(struct gateway_slot *slot)
{
	for (struct item *item = slot->open.first; item; item = item->next) {
		uint64_t wrote = item->session ? item->session->last_wrote : item->wrote;
		item->landed |= wrote > item->written_before;
	}
}

static void drop_kept(struct gateway_slot *slot)
{
	writes_done(&slot->kept);
	writes_init(&slot->kept);
	slot->too_large = false;
}

void slot_close_items(struct gateway_slot *slot, struct item_list *done)
{
	if (done->count == 0)
		return;
	item_pool_note_service(slot->options.pool, uv_hrtime() - done->first->opened_ns, done->count);
	for (struct item *item = done->first; item; item = item->next) {
		if (item->list)
			private_list_forget(slot, item);
	}
	if (slot->too_large) {
		slot_fail_items(slot, done, "result_too_large", NULL);
		drop_kept(slot);
		return;
	}
	if (slot->open.count > 0 && slot->kept.count > 0)
		note_landed(slot);
	slot->worked = true;
	item_pool_done(slot->options.pool, &slot->taker, done, &slot->kept);
}

void slot_return_items(struct gateway_slot *slot, struct item_list *items)
{
	for (struct item *item = items->first; item; item = item->next) {
		if (item->list)
			private_list_forget(slot, item);
	}
	item_pool_return(slot->options.pool, &slot->taker, items);
	if (slot->open.count == 0)
		drop_kept(slot); /* they were of what has gone back */
}

void slot_fail_open(struct gateway_slot *slot, const struct gateway_session *session, const char *reason,
		    const struct gateway_end *end)
{
	struct item_list failed = {0};
	struct item *next = NULL;
	for (struct item *item = slot->open.first; item; item = next) {
		next = item->next;
		if (item->session != session)
			continue;
		item_list_remove(&slot->open, item);
		item_list_push(&failed, item);
	}
	slot_fail_items(slot, &failed, reason, end);
	if (slot->open.count == 0)
		drop_kept(slot);
}

static bool closes(const struct gateway_slot *slot, const struct item *item, const struct gateway_session *session)
{
	if (item->list)
		return false;
	return item->session == session || !item->session || slot->options.concurrency == 1;
}

/* Rules 1, 4 and 5. */
static void close_for_pop(struct gateway_slot *slot, const struct gateway_session *session)
{
	struct item_list done = {0};
	struct item_list lost = {0};
	struct item *next = NULL;
	for (struct item *item = slot->open.first; item; item = next) {
		next = item->next;
		if (!closes(slot, item, session))
			continue;
		item_list_remove(&slot->open, item);
		bool silent = !item->session && !evidence_is_there(item);
		item_list_push(silent ? &lost : &done, item);
	}
	if (lost.count > 0)
		slot_fail_items(slot, &lost, "connection_lost", NULL);
	slot_close_items(slot, &done);
}

/* ---- what opens ---- */

static void note_concurrent(struct gateway_slot *slot, const struct gateway_session *session)
{
	if (slot->told_concurrent)
		return;
	for (const struct item *item = slot->open.first; item; item = item->next) {
		if (item->list || !item->session || item->session == session)
			continue;
		slot->told_concurrent = true;
		item_pool_note_concurrent(slot->options.pool);
		log_warn(slot->subject,
			 "this worker has items open on several connections at once: each close brings all its results so far, "
			 "and a crash may repeat some; \"concurrency\": 1 declares that it is serial, and docs/architecture.md says "
			 "how a concurrent one tells its items apart");
		return;
	}
}

static void open_items(struct gateway_slot *slot, struct gateway_session *session, struct item_list *opened)
{
	int64_t now = clock_monotonic_ms();
	uint64_t now_ns = uv_hrtime();
	for (struct item *item; (item = item_list_shift(opened));) {
		item->session = session;
		item->written_before = slot->written;
		item->wrote = 0;
		item->opened_ms = now;
		item->opened_ns = now_ns;
		item_list_push(&slot->open, item);
	}
	if (slot->options.item_timeout_ms > 0)
		slot_schedule(slot, now + slot->options.item_timeout_ms);
	note_concurrent(slot, session);
}

static void put_back(struct gateway_slot *slot, struct item_list *items)
{
	while (items->last) {
		struct item *item = items->last;
		item_list_remove(items, item);
		if (item->list)
			private_list_forget(slot, item);
		item_pool_put_back(slot->options.pool, &slot->taker, item);
	}
}

/* The send failed before a byte of it had left: the last ones opened were never seen. */
static void take_back(struct gateway_slot *slot, size_t count)
{
	struct item_list undelivered = {0};
	for (; count > 0; count--) {
		struct item *item = slot->open.last;
		item_list_remove(&slot->open, item);
		item_list_push_front(&undelivered, item);
	}
	put_back(slot, &undelivered);
}

/* How many of a MULTI's pops, from this one on, are to have something. */
static size_t real_pops(const struct pop *pop, size_t from)
{
	size_t count = 0;
	for (size_t i = from; i < pop->request_count; i++)
		count += !pop->requests[i].elsewhere && pop->requests[i].form != POP_LLEN;
	return count;
}

static int form_answer(struct gateway_slot *slot, struct gateway_session *session, struct item_list *opened)
{
	struct pop *pop = &session->pop;
	struct buf *out = &session->out;
	size_t from = 0;
	int rc = pop->in_transaction ? resp_add_array(out, pop->replies) : 0;
	for (size_t i = 0; i < pop->request_count && !rc; i++) {
		const struct pop_request *request = &pop->requests[i];
		if (pop->in_transaction) {
			rc = buf_add(out, pop->around.data ? pop->around.data + from : "", request->offset - from);
			from = request->offset;
		}
		if (!rc)
			rc = pop_form(slot, request, &pop->granted, real_pops(pop, i + 1), opened, out);
	}
	if (!rc && pop->in_transaction && pop->around.len > from)
		rc = buf_add(out, pop->around.data + from, pop->around.len - from);
	return rc;
}

/* With what was granted, which may be nothing. */
static void answer_pop(struct gateway_slot *slot, struct gateway_session *session)
{
	struct item_list opened = {0};
	int rc = form_answer(slot, session, &opened);
	put_back(slot, &session->pop.granted); /* what did not fit */
	if (rc) {
		put_back(slot, &opened);
		session_close(session);
		return;
	}
	size_t count = opened.count;
	if (count > 0)
		open_items(slot, session, &opened);
	session_clear_pop(session);
	if (session->behind.len > 0) {
		rc = buf_add(&session->out, session->behind.data, session->behind.len);
		buf_clear(&session->behind);
	}
	if (rc)
		session_close(session);
	else
		session_flush(session);
	if (session->undelivered)
		take_back(slot, count);
	if (session->closed)
		return;
	session_run(session);
	session_flush(session);
}

/* ---- a pop's way ---- */

static void on_items(struct item_want *want, struct item_list *items)
{
	struct gateway_session *session =
		(struct gateway_session *)((char *)want - offsetof(struct gateway_session, pop.want));
	struct gateway_slot *slot = session->slot;
	session->pop.granted = *items;
	session->pop.state = POP_GRANTED;
	session->pop.half_until_ms = 0;
	(void)uv_timer_stop(&session->timer);
	slot_add_pop(slot, session);
	slot_step(slot, NULL);
}

static void on_pop_timeout(uv_timer_t *timer)
{
	struct gateway_session *session = timer->data;
	struct gateway_slot *slot = session->slot;
	if (session->pop.state != POP_WAITING)
		return;
	item_pool_unwant(slot->options.pool, &session->pop.want);
	answer_pop(slot, session);
	slot_step(slot, NULL);
}

static void wait_for_items(struct gateway_slot *slot, struct gateway_session *session, size_t min, size_t max)
{
	struct pop *pop = &session->pop;
	pop->state = POP_WAITING;
	if (pop->blocking && pop->timeout_ms > 0)
		(void)uv_timer_start(&session->timer, on_pop_timeout, (uint64_t)pop->timeout_ms, 0);
	bool asks = max > 0 || pop->requests[0].form == POP_LLEN;
	if ((slot->draining && max > 0) || !asks)
		return;
	pop->want = (struct item_want){
		.taker = &slot->taker, .min = min, .max = max, .blocking = pop->blocking && max > 0, .on_items = on_items};
	item_pool_want(slot->options.pool, &pop->want);
}

/* Takes items, or waits for them. */
static void obtain(struct gateway_slot *slot, struct gateway_session *session)
{
	struct pop *pop = &session->pop;
	size_t min = 0;
	size_t max = 0;
	for (size_t i = 0; i < pop->request_count; i++) {
		if (pop->requests[i].elsewhere || pop->requests[i].form == POP_LLEN)
			continue;
		min += pop->requests[i].form == POP_NEXT ? pop->requests[i].max : 1;
		max += pop->requests[i].max;
	}
	bool counts = pop->requests[0].form == POP_LLEN;
	if (max == 0 && (counts ? item_pool_count(slot->options.pool) > 0 : !pop->blocking)) {
		answer_pop(slot, session);
		return;
	}
	bool got = max > 0 && !slot->draining &&
		   item_pool_pop(slot->options.pool, &slot->taker, min, max, &pop->granted) > 0;
	if (got)
		answer_pop(slot, session);
	else
		wait_for_items(slot, session, min, max);
}

/* Not to be waited for again at each pop, until more of them comes. */
static void give_up_halves(struct gateway_slot *slot)
{
	for (struct gateway_session *session = slot->sessions; session; session = session->next)
		session->given_up |= session_is_half(session);
}

/* The first pop of the slot; false when it must wait for the rest of a command. */
static bool step_pop(struct gateway_slot *slot, const struct gateway_session *just_read)
{
	struct gateway_session *session = slot->first_pop;
	struct pop *pop = &session->pop;
	if (real_pops(pop, 0) > 0 && !slot_read_dry(slot, just_read) && slot->first_pop == session) {
		int64_t now = clock_monotonic_ms();
		if (!pop->half_until_ms)
			pop->half_until_ms = now + HALF_MS;
		if (now < pop->half_until_ms) {
			slot_schedule(slot, pop->half_until_ms);
			return false;
		}
		give_up_halves(slot);
	}
	if (slot->first_pop != session)
		return true; /* it ended while it was read */
	slot_remove_pop(slot, session);
	if (pop->state == POP_GRANTED && slot->draining) {
		put_back(slot, &pop->granted);
		obtain(slot, session);
		return true;
	}
	if (pop->state == POP_GRANTED) {
		answer_pop(slot, session);
		return true;
	}
	if (real_pops(pop, 0) > 0)
		close_for_pop(slot, session);
	obtain(slot, session);
	return true;
}

void slot_step(struct gateway_slot *slot, const struct gateway_session *just_read)
{
	if (slot->stepping || slot->ending)
		return;
	slot->stepping = true;
	while (slot->first_pop && step_pop(slot, just_read))
		just_read = NULL;
	slot->stepping = false;
	slot_check_idle(slot);
}

void slot_session_gone(struct gateway_slot *slot, struct gateway_session *session)
{
	struct pop *pop = &session->pop;
	if (pop->state == POP_ARRIVED || pop->state == POP_GRANTED)
		slot_remove_pop(slot, session);
	item_pool_unwant(slot->options.pool, &pop->want);
	put_back(slot, &pop->granted);
	evidence_of_end(slot, session);
	for (struct item *item = session->exec_done.first; item; item = item->next)
		item->session = NULL;
}

/* ---- writes ---- */

static int add_write(struct writes *writes, const struct write_arg *args, size_t count)
{
	size_t before = writes->bytes.len;
	int rc = resp_add_array(&writes->bytes, count);
	for (size_t i = 0; i < count && !rc; i++)
		rc = resp_add_bulk(&writes->bytes, args[i].bytes, args[i].len);
	if (rc) {
		writes->bytes.len = before;
		return rc;
	}
	writes->count++;
	writes->values += count + 1;
	return 0;
}

static int write_alone(struct gateway_slot *slot, const struct write_arg *args, size_t count, struct err *err)
{
	struct writes writes;
	writes_init(&writes);
	int rc = add_write(&writes, args, count);
	if (!rc)
		rc = item_pool_write(slot->options.pool, &writes);
	writes_done(&writes);
	if (!rc)
		return 0;
	return err_set(err, rc, "OOM the node keeps no more results until the hub has taken some: try again later");
}

int slot_write(struct gateway_slot *slot, struct gateway_session *session, const struct write_arg *args, size_t count,
	       struct err *err)
{
	if (slot->open.count == 0 && session->exec_done.count == 0)
		return write_alone(slot, args, count, err);
	slot->written++;
	session->last_wrote = slot->written;
	evidence_of_write(slot, session);
	if (slot->too_large || add_write(&slot->kept, args, count)) {
		slot->too_large = true;
		return err_set(err, ERR_TOO_BIG, "ERR the result of this item is larger than %d bytes: the item has failed",
			       LIMIT_RESULT);
	}
	return 0;
}
