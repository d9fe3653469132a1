/* {} and its kin in a command's arguments, as gridexec fills them: for what is said before anything runs (--dry-run, checks)
 * and for the job log. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Whether one of the item's stands in it ({#} is none), or {#}. */
bool placeholders_of_item(const char *argument);
bool placeholders_of_number(const char *argument);

/* Appends the argument with all of them filled. Errors are buf_add's. */
int placeholders_fill(struct buf *into, const char *argument, const char *item, size_t len, int64_t seq) MUST_CHECK;

/* Appends an argument as a shell takes it: as it is where it is harmless, else quoted; bytes that are none of a text as
 * $'\xNN'. */
int placeholders_quote(struct buf *into, const char *argument, size_t len) MUST_CHECK;
