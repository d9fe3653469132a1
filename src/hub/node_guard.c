/* Owns the judgement of a node by its outcomes. Called by the node plane; knows nothing of tasks. */
#include "hub/node_guard.h"

#include "base/text.h"

enum { PAUSE_BASE_MS = 1000, PAUSE_MAX_MS = 60 * 1000 };

void node_guard_success(struct node_guard *guard)
{
	*guard = (struct node_guard){0};
}

void node_guard_failure(struct node_guard *guard, const char *reason, int64_t now_ms, uint32_t random)
{
	text_copy(guard->reason, sizeof(guard->reason), reason);
	if (++guard->streak == GUARD_STREAK)
		guard->backoff = BACKOFF(PAUSE_BASE_MS, PAUSE_MAX_MS);
	if (node_guard_is_on(guard))
		guard->not_before_ms = now_ms + backoff_next_ms(&guard->backoff, random);
}

bool node_guard_is_on(const struct node_guard *guard)
{
	return guard && guard->streak >= GUARD_STREAK;
}
