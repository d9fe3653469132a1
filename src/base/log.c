/* Owns the log's level and line format. Called by whoever stops an error or reports progress; never by base or net
 * above debug, and never with a secret. */
#include "base/log.h"

#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096 };

static const struct {
	const char *name;
	int journal_priority; /* of sd-daemon(3) */
} LEVELS[] = {
	[LOG_LEVEL_ERROR] = {"error", 3},
	[LOG_LEVEL_WARN] = {"warn", 4},
	[LOG_LEVEL_INFO] = {"info", 6},
	[LOG_LEVEL_DEBUG] = {"debug", 7},
};

static enum log_level threshold = LOG_LEVEL_INFO;

bool log_level_parse(const char *name, enum log_level *level)
{
	for (size_t i = 0; i < sizeof(LEVELS) / sizeof(LEVELS[0]); i++) {
		if (strcmp(LEVELS[i].name, name) == 0) {
			*level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

bool log_enabled(enum log_level level)
{
	return level <= threshold;
}

static size_t add(char *line, size_t at, const char *format, va_list args) __attribute__((format(printf, 3, 0)));

static size_t add(char *line, size_t at, const char *format, va_list args)
{
	int len = vsnprintf(line + at, LINE_MAX_BYTES - at, format, args);
	if (len < 0)
		return at;
	size_t end = at + (size_t)len;
	return end < LINE_MAX_BYTES - 1 ? end : LINE_MAX_BYTES - 2; /* room for the newline */
}

static size_t addf(char *line, size_t at, const char *format, ...) __attribute__((format(printf, 3, 4)));

static size_t addf(char *line, size_t at, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	size_t end = add(line, at, format, args);
	va_end(args);
	return end;
}

void log_write(enum log_level level, const char *subject, const char *format, ...)
{
	if (!log_enabled(level))
		return;

	char line[LINE_MAX_BYTES];
	size_t len = 0;
	if (getenv("JOURNAL_STREAM")) {
		len = addf(line, len, "<%d>", LEVELS[level].journal_priority);
	} else {
		char time[RFC3339_SIZE];
		clock_format_rfc3339(clock_wall_ms(), time);
		len = addf(line, len, "%s %-5s ", time, LEVELS[level].name);
	}
	if (subject)
		len = addf(line, len, "%s: ", subject);

	va_list args;
	va_start(args, format);
	len = add(line, len, format, args);
	va_end(args);

	for (size_t i = 0; i < len; i++) {
		if (line[i] == '\n')
			line[i] = '|';
		else if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	}
	line[len++] = '\n';
	(void)!write(STDERR_FILENO, line, len); /* a log that cannot be written has nobody to tell */
}
