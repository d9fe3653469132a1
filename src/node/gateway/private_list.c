/* Owns the lists that a worker moves items into (rule 6, Redis' reliable-queue pattern): which items stand in which, in
 * their order. Called by commands.c and slot.c; a list lives as long as it has items, and is the slot's alone.
 *
 * LREM, DEL and a move to the output close items; a move back to the input returns them. What closes in a MULTI closes at
 * the end of its EXEC, with all its writes. */
#include "node/gateway/parts.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct private_list *private_list_find(const struct gateway_slot *slot, const char *name, size_t len)
{
	for (struct private_list *list = slot->lists; list; list = list->next) {
		if (list->name_len == len && memcmp(list->name, name, len) == 0)
			return list;
	}
	return NULL;
}

static void free_list(struct private_list *list)
{
	free(list->name);
	free(list->items);
	free(list);
}

static struct private_list *new_list(struct gateway_slot *slot, const char *name, size_t len)
{
	if (slot->list_count >= PRIVATE_LISTS_MAX)
		return NULL;
	struct private_list *list = calloc(1, sizeof(*list));
	char *copy = malloc(len + 1);
	if (!list || !copy) {
		free(list);
		free(copy);
		return NULL;
	}
	memcpy(copy, name, len);
	copy[len] = '\0';
	list->name = copy;
	list->name_len = len;
	list->next = slot->lists;
	slot->lists = list;
	slot->list_count++;
	return list;
}

static int insert(struct private_list *list, struct item *item, bool at_head)
{
	if (list->count == list->capacity) {
		size_t capacity = list->capacity ? 2 * list->capacity : 4;
		struct item **items = realloc(list->items, capacity * sizeof(struct item *));
		if (!items)
			return ERR_NOMEM;
		list->items = items;
		list->capacity = capacity;
	}
	size_t at = at_head ? 0 : list->count;
	memmove(&list->items[at + 1], &list->items[at], (list->count - at) * sizeof(struct item *));
	list->items[at] = item;
	list->count++;
	item->list = list;
	return 0;
}

static void drop_if_empty(struct gateway_slot *slot, struct private_list *list)
{
	struct private_list **at = &slot->lists;
	if (list->count > 0)
		return;
	while (*at != list)
		at = &(*at)->next;
	*at = list->next;
	slot->list_count--;
	free_list(list);
}

int private_list_add(struct gateway_slot *slot, const struct pop_request *request, struct item *item)
{
	struct private_list *list = private_list_find(slot, request->list, request->list_len);
	if (!list)
		list = new_list(slot, request->list, request->list_len);
	int rc = list ? insert(list, item, request->at_head) : ERR_NOMEM;
	if (list)
		drop_if_empty(slot, list);
	return rc;
}

void private_list_forget(struct gateway_slot *slot, struct item *item)
{
	struct private_list *list = item->list;
	size_t at = 0;
	while (list->items[at] != item)
		at++;
	list->count--;
	memmove(&list->items[at], &list->items[at + 1], (list->count - at) * sizeof(struct item *));
	item->list = NULL;
	drop_if_empty(slot, list);
}

void private_lists_done(struct gateway_slot *slot)
{
	for (struct private_list *list; (list = slot->lists);) {
		slot->lists = list->next;
		free_list(list);
	}
	slot->list_count = 0;
}

/* Off its list and out of what is open; done now, or at the end of the EXEC. */
static void close_one(struct gateway_session *session, struct item *item)
{
	struct gateway_slot *slot = session->slot;
	item_list_remove(&slot->open, item);
	private_list_forget(slot, item);
	item_list_push(&session->exec_done, item);
}

static void close_now(struct gateway_session *session)
{
	if (!session->in_exec)
		slot_close_items(session->slot, &session->exec_done);
	slot_check_idle(session->slot);
}

/* Moved to the output: its payload is the write. */
static bool write_moved(struct gateway_session *session, const struct item *item, const struct resp_value *to, bool to_head,
			struct buf *reply)
{
	const char *push = to_head ? "LPUSH" : "RPUSH";
	const struct write_arg args[] = {{push, 5}, {to->text, to->len}, {item->payload, item->payload_len}};
	struct err err = {0};
	if (!slot_write(session->slot, session, args, 3, &err))
		return true;
	answer_error(session, reply, "%s", err.text);
	return false;
}

static bool is_input(const struct gateway_slot *slot, const struct resp_value *key)
{
	return key->len == slot->input_len && memcmp(key->text, slot->input_queue, key->len) == 0;
}

void private_list_move(struct gateway_session *session, struct private_list *list, const struct resp_value *to,
		       bool from_head, bool to_head, struct buf *reply)
{
	struct gateway_slot *slot = session->slot;
	struct item *item = list->items[from_head ? 0 : list->count - 1];
	const struct write_arg as_write[] = {{"LPUSH", 5}, {to->text, to->len}, {"", 0}};
	if (is_input(slot, to)) {
		struct item_list back = {0};
		answer_bulk(session, reply, item->payload, item->payload_len);
		item_list_remove(&slot->open, item);
		item_list_push(&back, item);
		slot_return_items(slot, &back);
		slot_check_idle(slot);
	} else if (write_command_check(as_write, 3, &slot->targets, NULL) == 0) {
		if (!write_moved(session, item, to, to_head, reply))
			return;
		answer_bulk(session, reply, item->payload, item->payload_len);
		close_one(session, item);
		close_now(session);
	} else {
		struct pop_request request = {.list = (char *)(uintptr_t)to->text, .list_len = to->len, .at_head = to_head};
		answer_bulk(session, reply, item->payload, item->payload_len);
		private_list_forget(slot, item);
		if (private_list_add(slot, &request, item))
			session_close(session);
	}
}

static bool read_integer(const struct resp_value *value, long long *number)
{
	char *end = NULL;
	errno = 0;
	*number = strtoll(value->text, &end, 10);
	return value->len > 0 && !errno && end == value->text + value->len;
}

/* The one with this payload that was taken first; equal ones are told apart by nothing else. */
static struct item *oldest(const struct gateway_slot *slot, const struct private_list *list, const struct resp_value *payload)
{
	for (struct item *item = slot->open.first; item; item = item->next) {
		if (item->list == list && item->payload_len == payload->len &&
		    memcmp(item->payload, payload->text, payload->len) == 0)
			return item;
	}
	return NULL;
}

void private_list_lrem(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct resp_value *args = message->elements;
	const struct gateway_slot *slot = session->slot;
	long long limit = 0;
	if (!read_integer(&args[2], &limit)) {
		answer_error(session, reply, "ERR value is not an integer or out of range");
		return;
	}
	if (is_input(slot, &args[1])) {
		answer_unsupported(session, reply, message, "items leave the input queue by pops alone");
		return;
	}
	unsigned long long most = limit < 0 ? 0ULL - (unsigned long long)limit : (unsigned long long)limit;
	int64_t removed = 0;
	while (most == 0 || (unsigned long long)removed < most) {
		const struct private_list *list = private_list_find(slot, args[1].text, args[1].len);
		struct item *item = list ? oldest(slot, list, &args[3]) : NULL;
		if (!item)
			break;
		close_one(session, item);
		removed++;
	}
	answer_integer(session, reply, removed);
	close_now(session);
}

void private_list_lrange(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct resp_value *args = message->elements;
	const struct private_list *list = private_list_find(session->slot, args[1].text, args[1].len);
	long long first = 0;
	long long last = 0;
	const struct write_arg as_write[] = {{"LPUSH", 5}, {args[1].text, args[1].len}, {"", 0}};
	if (!read_integer(&args[2], &first) || !read_integer(&args[3], &last)) {
		answer_error(session, reply, "ERR value is not an integer or out of range");
		return;
	}
	if (!list && write_command_check(as_write, 3, &session->slot->targets, NULL) == 0) {
		answer_unsupported(session, reply, message, "only lists of the worker's own can be read");
		return;
	}
	long long count = list ? (long long)list->count : 0;
	first = first < -count ? 0 : first < 0 ? first + count : first;
	last = last < -count ? -1 : last < 0 ? last + count : last >= count ? count - 1 : last;
	answer_array(session, reply, last >= first ? (size_t)(last - first + 1) : 0);
	for (long long i = first; i <= last && !session->closed; i++)
		answer_bulk(session, reply, list->items[i]->payload, list->items[i]->payload_len);
}

void private_list_del(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct gateway_slot *slot = session->slot;
	int64_t deleted = 0;
	for (size_t i = 1; i < message->count; i++) {
		const struct resp_value *key = &message->elements[i];
		const struct write_arg as_write[] = {{"LPUSH", 5}, {key->text, key->len}, {"", 0}};
		if (write_command_check(as_write, 3, &slot->targets, NULL) == 0) {
			answer_unsupported(session, reply, message, "only lists of the worker's own can be removed");
			return;
		}
	}
	for (size_t i = 1; i < message->count; i++) {
		const struct resp_value *key = &message->elements[i];
		struct private_list *list = private_list_find(slot, key->text, key->len);
		deleted += list != NULL;
		for (size_t left = list ? list->count : 0; left > 0; left--)
			close_one(session, list->items[0]);
	}
	answer_integer(session, reply, deleted);
	close_now(session);
}
