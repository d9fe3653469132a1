/* Log lines on standard error: a level, the identity of what speaks ("node=…", "slot=2 task=…"), a message.
 *
 * Under journald ($JOURNAL_STREAM is set) a line starts with the priority that journald understands and carries no
 * time of its own; elsewhere it starts with the time in UTC. One call is one line: a newline in the message
 * is shown as '|', any other control character as '?', so that a peer's bytes can never forge a line. */
#pragma once

#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };

/* "error", "warn", "info", "debug"; false for any other name. */
bool log_level_parse(const char *name, enum log_level *level);

void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);

/* subject may be NULL for the program itself. */
void log_write(enum log_level level, const char *subject, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_error(subject, ...) log_write(LOG_LEVEL_ERROR, (subject), __VA_ARGS__)
#define log_warn(subject, ...) log_write(LOG_LEVEL_WARN, (subject), __VA_ARGS__)
#define log_info(subject, ...) log_write(LOG_LEVEL_INFO, (subject), __VA_ARGS__)
#define log_debug(subject, ...) log_write(LOG_LEVEL_DEBUG, (subject), __VA_ARGS__)
