/* Owns the linking of items into lists. Called by the pool and by the gateway's slots; never frees an item. */
#include "node/item.h"

#include <assert.h>

void item_list_push(struct item_list *list, struct item *item)
{
	item->next = NULL;
	item->prev = list->last;
	if (list->last)
		list->last->next = item;
	else
		list->first = item;
	list->last = item;
	list->count++;
}

void item_list_push_front(struct item_list *list, struct item *item)
{
	item->prev = NULL;
	item->next = list->first;
	if (list->first)
		list->first->prev = item;
	else
		list->last = item;
	list->first = item;
	list->count++;
}

void item_list_remove(struct item_list *list, struct item *item)
{
	assert(list->count > 0);
	if (item->prev)
		item->prev->next = item->next;
	else
		list->first = item->next;
	if (item->next)
		item->next->prev = item->prev;
	else
		list->last = item->prev;
	item->next = item->prev = NULL;
	list->count--;
}

struct item *item_list_shift(struct item_list *list)
{
	struct item *item = list->first;
	if (item)
		item_list_remove(list, item);
	return item;
}

void item_list_append(struct item_list *to, struct item_list *from)
{
	if (!from->first)
		return;
	from->first->prev = to->last;
	if (to->last)
		to->last->next = from->first;
	else
		to->first = from->first;
	to->last = from->last;
	to->count += from->count;
	*from = (struct item_list){0};
}
