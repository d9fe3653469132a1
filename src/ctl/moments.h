/* Times and durations as people read them. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { MOMENT_TEXT_SIZE = 32 };

/* "2026-01-31T23:59:59.999Z" → milliseconds since 1970. False where it is none. */
bool moment_parse(const char *rfc3339, int64_t *wall_ms);

/* "now", "12 s ago", "5 min ago", "3 h ago", "12 d ago". */
void moment_ago(int64_t then_ms, int64_t now_ms, char into[MOMENT_TEXT_SIZE]);

/* "0.4 s", "12 s", "3 min 20 s", "2 h 05 min", "3 d 4 h". */
void moment_duration(double seconds, char into[MOMENT_TEXT_SIZE]);

/* "2026-01-31 23:59:59", in this machine's time zone. */
void moment_local(int64_t wall_ms, char into[MOMENT_TEXT_SIZE]);
