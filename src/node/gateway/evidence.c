/* Owns the answer to one question: has an item whose connection is gone got a result (rule 4)? Called by slot.c and slot_end.c;
 * never decides what becomes of it.
 *
 * A write is a result of whatever is open on its own connection; where nothing is, of what is open on the one connection that
 * pops. Where several do, the write tells nothing by itself, but a connection that ends together with the one that popped was
 * of the same process, and its writes are this item's. A write that belongs to another item is none of this one's: or the
 * siblings of a killed child would cover up for it. */
#include "node/gateway/parts.h"

#include "base/clock.h"

enum { TOGETHER_MS = 50 }; /* a process's connections all end with it; how late we may read of the last of them */

static bool is_of(const struct item *item, const struct gateway_session *session)
{
	return !item->list && item->session == session;
}

static bool has_open(const struct gateway_slot *slot, const struct gateway_session *session)
{
	for (const struct item *item = slot->open.first; item; item = item->next) {
		if (is_of(item, session))
			return true;
	}
	return false;
}

void evidence_of_write(struct gateway_slot *slot, struct gateway_session *session)
{
	const struct item *only = NULL;
	if (has_open(slot, session))
		return;
	session->last_loose = slot->written;
	for (const struct item *item = slot->open.first; item; item = item->next) {
		if (item->list)
			continue;
		if (only && only->session != item->session)
			return;
		only = item;
	}
	for (struct item *item = slot->open.first; item; item = item->next) {
		if (!item->list)
			item->wrote = slot->written;
	}
}

void evidence_of_end(struct gateway_slot *slot, const struct gateway_session *session)
{
	int64_t now = clock_monotonic_ms();
	if (now - slot->gone_ms > TOGETHER_MS || slot->gone_wrote < session->last_loose)
		slot->gone_wrote = session->last_loose;
	slot->gone_ms = now;
	for (struct item *item = slot->open.first; item; item = item->next) {
		if (is_of(item, session)) {
			item->session = NULL;
			item->gone_ms = now;
			item->wrote = item->wrote < session->last_wrote ? session->last_wrote : item->wrote;
		}
		if (!item->session && now - item->gone_ms <= TOGETHER_MS && item->wrote < slot->gone_wrote)
			item->wrote = slot->gone_wrote;
	}
}

bool evidence_is_there(const struct item *item)
{
	return item->wrote > item->written_before;
}

bool evidence_is_there_at_exit(const struct gateway_slot *slot, const struct item *item)
{
	bool ends_now = item->session || clock_monotonic_ms() - item->gone_ms <= TOGETHER_MS;
	return ends_now ? slot->written > item->written_before : evidence_is_there(item);
}
