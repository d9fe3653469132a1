/* Owns the arithmetic of retries. Called by whoever retries, who brings the randomness and the timer. */
#include "base/backoff.h"

int64_t backoff_next_ms(struct backoff *backoff, uint32_t random)
{
	bool first = backoff->spread && backoff->attempt == 0;
	int64_t wait = backoff->base_ms;
	for (unsigned i = backoff->spread ? 1 : 0; i < backoff->attempt && wait < backoff->max_ms; i++)
		wait *= 2;
	if (wait > backoff->max_ms)
		wait = backoff->max_ms;
	if (backoff->attempt < 62)
		backoff->attempt++;
	int64_t least = wait / (first ? 32 : 2);
	return least + (int64_t)((uint64_t)random % (uint64_t)(wait - least + 1));
}

void backoff_reset(struct backoff *backoff)
{
	backoff->attempt = 0;
}
