/* One sick machine must not eat the queue: a node that fails item after item gets one at a time, with growing pauses, until one
 * succeeds. */
#pragma once

#include "base/backoff.h"

#include <stdbool.h>
#include <stdint.h>

enum { GUARD_STREAK = 5, GUARD_REASON_SIZE = 256 };

struct node_guard {
	unsigned streak;       /* failures without a success between them */
	int64_t not_before_ms; /* monotonic; no item before that */
	struct backoff backoff;
	char reason[GUARD_REASON_SIZE]; /* of the last failure */
};

void node_guard_success(struct node_guard *guard);
void node_guard_failure(struct node_guard *guard, const char *reason, int64_t now_ms, uint32_t random);

/* Whether the node is held back; NULL: nothing has failed yet. */
bool node_guard_is_on(const struct node_guard *guard);
