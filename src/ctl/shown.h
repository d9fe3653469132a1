/* Texts as a terminal shows them: how many columns they take, cut to fit, and without what would command the terminal. */
#pragma once

#include "base/buf.h"

#include <stddef.h>

/* Columns that the text takes: 2 for a wide character (East Asian), 0 for a combining one. Bytes that are no UTF-8 count as
 * the '?' that shown_add makes of them. */
size_t shown_width(const char *text);

/* Adds the text for people: control characters (also those of Unicode that turn the direction) become '?', a newline and a tab
 * a space, bytes that are no UTF-8 '?'. Columns over `width` are cut with '…' (0: no limit). A buffer that is full is cut. */
void shown_add(struct buf *into, const char *text, size_t width);

/* The same for a text of several lines, each behind `indent`; newlines and tabs stay. */
void shown_add_lines(struct buf *into, const char *text, const char *indent);

/* Finds the locale for widths: to be called once at the start. */
void shown_begin(void);
