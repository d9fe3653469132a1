/* How fast a count grows: over the last half minute, so that neither a burst nor the beginning of it all counts for ever. */
#pragma once

#include <stddef.h>
#include <stdint.h>

enum { RATE_SAMPLES = 64, RATE_EVERY_MS = 500, RATE_WINDOW_MS = 30 * 1000 };

/* Begins as all zeros. */
struct rate {
	int64_t at_ms[RATE_SAMPLES], count[RATE_SAMPLES];
	size_t used, next;
};

/* now_ms: monotonic. A count that went back begins anew. */
void rate_note(struct rate *rate, int64_t now_ms, int64_t count);

/* Per second; 0 while nothing can be said. */
double rate_per_second(const struct rate *rate, int64_t now_ms);
