/* Waiting longer each time, with jitter, so that a crowd that failed together does not come back together. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct backoff {
	int64_t base_ms;  /* the first wait, before jitter */
	int64_t max_ms;   /* no wait is longer */
	unsigned attempt; /* waits taken since the last reset */
	bool spread;      /* a crowd may begin at the very same moment: its first waits are spread over all of base */
};

#define BACKOFF(base, max) ((struct backoff){.base_ms = (base), .max_ms = (max)})
#define BACKOFF_SPREAD(base, max) ((struct backoff){.base_ms = (base), .max_ms = (max), .spread = true})

/* The next wait: base × 2^attempt up to max, of which a random half is kept: between 1/2 and 1 of it. With `spread` the first
 * is anything between 1/32 and 1 of base, and the second begins at base. */
int64_t backoff_next_ms(struct backoff *backoff, uint32_t random);

void backoff_reset(struct backoff *backoff);
