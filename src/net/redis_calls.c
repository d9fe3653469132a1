/* Owns the outstanding commands. Called by the Redis client; never calls back, never sends. */
#include "net/redis_calls.h"

#include <assert.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

void redis_calls_done(struct redis_calls *calls)
{
	for (size_t i = 0; i < calls->count; i++)
		free(redis_calls_at(calls, i)->tail);
	free(calls->ring);
	*calls = (struct redis_calls){.max = calls->max};
}

static int grow(struct redis_calls *calls)
{
	size_t capacity = calls->capacity ? calls->capacity * 2 : FIRST_CAPACITY;
	struct redis_call *ring = malloc(capacity * sizeof(*ring));
	if (!ring)
		return ERR_NOMEM;
	for (size_t i = 0; i < calls->count; i++)
		ring[i] = *redis_calls_at(calls, i);
	free(calls->ring);
	calls->ring = ring;
	calls->capacity = capacity;
	calls->first = 0;
	return 0;
}

int redis_calls_push(struct redis_calls *calls, const struct redis_call *call)
{
	if (calls->count >= calls->max)
		return ERR_TOO_BIG;
	if (calls->count == calls->capacity) {
		int rc = grow(calls);
		if (rc)
			return rc;
	}
	calls->ring[(calls->first + calls->count++) % calls->capacity] = *call;
	calls->bytes += call->bytes;
	return 0;
}

bool redis_calls_shift(struct redis_calls *calls, struct redis_call *call)
{
	if (calls->count == 0)
		return false;
	*call = calls->ring[calls->first];
	calls->first = (calls->first + 1) % calls->capacity;
	calls->count--;
	calls->bytes -= call->bytes;
	return true;
}

void redis_calls_unpush(struct redis_calls *calls)
{
	assert(calls->count > 0);
	struct redis_call *last = redis_calls_at(calls, calls->count - 1);
	free(last->tail);
	calls->bytes -= last->bytes;
	calls->count--;
}

struct redis_call *redis_calls_at(const struct redis_calls *calls, size_t index)
{
	assert(index < calls->count);
	return &calls->ring[(calls->first + index) % calls->capacity];
}
