/* Time: monotonic milliseconds for everything that is measured or waited for, wall-clock milliseconds since 1970 for
 * what people read and what outlives the process. Modules take `now` as an argument; only their owners ask here. */
#pragma once

#include <stdint.h>

enum { RFC3339_SIZE = sizeof("2026-01-31T23:59:59.999Z") };

int64_t clock_monotonic_ms(void);
int64_t clock_wall_ms(void);

/* UTC with milliseconds, as RFC 3339 writes it. */
void clock_format_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE]);
