/* Tables for people: columns as wide as what is in them, and on a terminal no wider than it. */
#pragma once

#include "base/err.h"
#include "ctl/terminal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum table_style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARN, STYLE_BAD, STYLE_FAINT, STYLE_BOLD };

struct table_column {
	const char *title;
	bool right;   /* numbers */
	bool shrinks; /* cut when the terminal is too narrow, the widest first */
};

struct table;

/* The columns are borrowed. NULL only without memory, which every function here takes as well. */
struct table *table_new(const struct table_column *columns, size_t count);
void table_free(struct table *table);

/* The next cell, row by row. The text is what shown_add makes of it. */
void table_add(struct table *table, enum table_style style, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* How many rows are complete. */
size_t table_rows(const struct table *table);

/* With a line of titles. ERR_NOMEM where a cell was lost. */
int table_print(const struct table *table, FILE *out, const struct terminal *terminal) MUST_CHECK;

/* The sequences that switch a style on and off; "" where the terminal has no colors. */
const char *table_style_on(const struct terminal *terminal, enum table_style style);
const char *table_style_off(const struct terminal *terminal, enum table_style style);
