/* Owns the reading of clocks. Called by the owners of loops and by the log; never sleeps. */
#include "base/clock.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
	struct timespec now;
	(void)clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_monotonic_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

void clock_format_rfc3339(int64_t wall_ms, char out[RFC3339_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm utc;
	memset(&utc, 0, sizeof(utc));
	(void)gmtime_r(&seconds, &utc);
	char date[sizeof("2026-01-31T23:59:59")];
	if (strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &utc) == 0)
		(void)strcpy(date, "1970-01-01T00:00:00"); /* a year past 9999 does not fit */
	(void)snprintf(out, RFC3339_SIZE, "%s.%03uZ", date, (unsigned)(wall_ms % 1000) % 1000U);
}
