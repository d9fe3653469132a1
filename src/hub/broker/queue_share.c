/* Owns what tasks that work on the same queue of the same Redis mean for each other. Called by the queue's other files; changes
 * nothing.
 *
 * Their items stand on the same books, and whoever runs takes what an earlier one left. Holders are apart, since a task's tag is in
 * their names. So while one runs, the earlier ones only bring home what is out: they put nothing back, and their numbers end where
 * its numbers begin. When none runs any more they settle, in the order in which they began. */
#include "hub/broker/queue_parts.h"

#include <stdlib.h>
#include <string.h>

static bool shares(const struct queue *a, const struct queue *b)
{
	return a != b && strcmp(a->keys, b->keys) == 0 && redis_link_same_place(a->link, b->link);
}

static const struct queue *all(const struct queue *queue)
{
	return queue->owner->all(queue->owner->context);
}

bool queue_in_use(const struct queue *queue)
{
	for (const struct queue *other = all(queue); other; other = other->next) {
		if (other->state == QUEUE_RUNNING && shares(queue, other))
			return true;
	}
	return false;
}

bool queue_has_sharer(const struct queue *queue)
{
	for (const struct queue *other = all(queue); other; other = other->next) {
		if (other->state != QUEUE_WAITING && shares(queue, other))
			return true;
	}
	return false;
}

bool queue_settles_next(const struct queue *queue)
{
	for (const struct queue *other = all(queue); other; other = other->next) {
		bool before = other->state == QUEUE_DRAINING && other->task->position < queue->task->position;
		if ((before || other->state == QUEUE_RUNNING) && shares(queue, other))
			return false;
	}
	return true;
}

const struct queue_base *queue_end_of_count(const struct queue *queue)
{
	const struct queue *next = NULL;
	for (const struct queue *other = all(queue); other; other = other->next) {
		bool after = other->state != QUEUE_WAITING && !other->reopened && other->task->position > queue->task->position;
		if (after && (!next || other->task->position < next->task->position) && shares(queue, other))
			next = other;
	}
	return next && next->base.known ? &next->base : NULL;
}

bool queue_collides(const struct queue *queue, const char *url, const char *input_queue)
{
	char *keys = queue_keys_of(input_queue);
	bool same_keys = keys && strcmp(keys, queue->keys) == 0;
	free(keys);
	return same_keys && strcmp(input_queue, queue->task->spec.input_queue) != 0 && redis_link_is_at(queue->link, url);
}
