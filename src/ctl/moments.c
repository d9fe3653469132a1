/* Owns the words for times. Called by whatever prints for people; takes the time as an argument. */
#include "ctl/moments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MINUTE_S = 60, HOUR_S = 60 * MINUTE_S, DAY_S = 24 * HOUR_S };

bool moment_parse(const char *rfc3339, int64_t *wall_ms)
{
	struct tm utc;
	int milliseconds = 0;
	memset(&utc, 0, sizeof(utc));
	const char *rest = rfc3339 ? strptime(rfc3339, "%Y-%m-%dT%H:%M:%S", &utc) : NULL;
	if (!rest)
		return false;
	if (*rest == '.')
		milliseconds = (int)(strtod(rest, NULL) * 1000 + 0.5);
	*wall_ms = (int64_t)timegm(&utc) * 1000 + milliseconds;
	return true;
}

void moment_ago(int64_t then_ms, int64_t now_ms, char into[MOMENT_TEXT_SIZE])
{
	long long passed = (now_ms - then_ms) / 1000;
	if (passed < 1)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "now");
	else if (passed < 2 * MINUTE_S)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld s ago", passed);
	else if (passed < 2 * HOUR_S)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld min ago", passed / MINUTE_S);
	else if (passed < 2 * DAY_S)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld h ago", passed / HOUR_S);
	else
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld d ago", passed / DAY_S);
}

void moment_duration(double seconds, char into[MOMENT_TEXT_SIZE])
{
	static const double MOST = 1e12;
	double bounded = seconds < 0 || seconds != seconds ? 0 : seconds > MOST ? MOST : seconds;
	long long whole = (long long)(bounded + 0.5);
	if (bounded < 9.95)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%.1f s", bounded);
	else if (whole < 2 * MINUTE_S)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld s", whole);
	else if (whole < HOUR_S)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld min %02lld s", whole / MINUTE_S, whole % MINUTE_S);
	else if (whole < 2 * DAY_S)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld h %02lld min", whole / HOUR_S, whole % HOUR_S / MINUTE_S);
	else
		(void)snprintf(into, MOMENT_TEXT_SIZE, "%lld d %lld h", whole / DAY_S, whole % DAY_S / HOUR_S);
}

void moment_local(int64_t wall_ms, char into[MOMENT_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm local;
	if (!localtime_r(&seconds, &local) || strftime(into, MOMENT_TEXT_SIZE, "%Y-%m-%d %H:%M:%S", &local) == 0)
		(void)snprintf(into, MOMENT_TEXT_SIZE, "?");
}
