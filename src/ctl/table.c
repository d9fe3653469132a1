/* Owns the laying out of tables. Called by the commands that list; knows nothing of tasks or nodes. */
#include "ctl/table.h"

#include "base/buf.h"
#include "ctl/shown.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { CELL_MAX_BYTES = 4096, LINE_MAX_BYTES = 64 * 1024, SHRINK_LEAST = 3, GAP = 2 };

struct cell {
	char *text;
	enum table_style style;
};

struct table {
	const struct table_column *columns;
	size_t column_count;
	struct cell *cells;
	size_t count, room;
	bool lost; /* a cell, for want of memory */
};

struct table *table_new(const struct table_column *columns, size_t count)
{
	struct table *table = calloc(1, sizeof(*table));
	if (table)
		*table = (struct table){.columns = columns, .column_count = count};
	return table;
}

void table_free(struct table *table)
{
	for (size_t i = 0; table && i < table->count; i++)
		free(table->cells[i].text);
	if (table)
		free(table->cells);
	free(table);
}

static struct cell *new_cell(struct table *table)
{
	if (table->count == table->room) {
		size_t room = table->room ? table->room * 2 : 64;
		struct cell *cells = realloc(table->cells, room * sizeof(*cells));
		if (!cells)
			return NULL;
		table->cells = cells;
		table->room = room;
	}
	return &table->cells[table->count];
}

void table_add(struct table *table, enum table_style style, const char *format, ...)
{
	if (!table)
		return;
	char text[CELL_MAX_BYTES];
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);

	struct buf shown;
	buf_init(&shown, 2 * CELL_MAX_BYTES);
	shown_add(&shown, text, 0);
	struct cell *cell = new_cell(table);
	char *kept = cell ? strdup(buf_text(&shown)) : NULL;
	buf_done(&shown);
	if (!kept) {
		table->lost = true;
		return;
	}
	*cell = (struct cell){.text = kept, .style = style};
	table->count++;
}

size_t table_rows(const struct table *table)
{
	return table ? table->count / table->column_count : 0;
}

/* ---- widths ---- */

static size_t total_of(const size_t *widths, size_t count)
{
	size_t total = count > 0 ? (count - 1) * GAP : 0;
	for (size_t i = 0; i < count; i++)
		total += widths[i];
	return total;
}

/* The widest of those that may shrink, or `count`. */
static size_t widest(const struct table *table, const size_t *widths)
{
	size_t found = table->column_count;
	for (size_t i = 0; i < table->column_count; i++) {
		bool may = table->columns[i].shrinks && widths[i] > SHRINK_LEAST;
		if (may && (found == table->column_count || widths[i] > widths[found]))
			found = i;
	}
	return found;
}

static void measure(const struct table *table, const struct terminal *terminal, size_t *widths)
{
	assert(table->column_count > 0);
	for (size_t i = 0; i < table->column_count; i++)
		widths[i] = shown_width(table->columns[i].title);
	for (size_t i = 0; i < table->count; i++) {
		size_t width = shown_width(table->cells[i].text);
		size_t column = i % table->column_count;
		widths[column] = width > widths[column] ? width : widths[column];
	}
	size_t most = terminal->columns > 0 ? (size_t)terminal->columns : 0;
	while (most > 0 && total_of(widths, table->column_count) > most) {
		size_t column = widest(table, widths);
		if (column == table->column_count)
			return; /* the terminal wraps the lines */
		widths[column]--;
	}
}

/* ---- printing ---- */

const char *table_style_on(const struct terminal *terminal, enum table_style style)
{
	static const char *const ON[] = {[STYLE_PLAIN] = "",	      [STYLE_GOOD] = "\033[32m",  [STYLE_WARN] = "\033[33m",
					 [STYLE_BAD] = "\033[31m", [STYLE_FAINT] = "\033[2m", [STYLE_BOLD] = "\033[1m"};
	return terminal->colors ? ON[style] : "";
}

const char *table_style_off(const struct terminal *terminal, enum table_style style)
{
	return terminal->colors && style != STYLE_PLAIN ? "\033[0m" : "";
}

static int add_spaces(struct buf *line, size_t count)
{
	return count > 0 ? buf_printf(line, "%*s", (int)count, "") : 0;
}

/* Without a cell, the column's title. The last column has no spaces behind it. */
static int add_cell(struct buf *line, const struct table *table, size_t column, const struct cell *cell, size_t width,
		    const struct terminal *terminal)
{
	struct buf text;
	buf_init(&text, 2 * CELL_MAX_BYTES);
	enum table_style style = cell ? cell->style : STYLE_BOLD;
	shown_add(&text, cell ? cell->text : table->columns[column].title, width);
	size_t taken = shown_width(buf_text(&text));
	size_t pad = taken < width ? width - taken : 0;
	bool right = table->columns[column].right;
	bool last = column + 1 == table->column_count;
	int rc = add_spaces(line, right ? pad : 0);
	if (!rc)
		rc = buf_printf(line, "%s%s%s", table_style_on(terminal, style), buf_text(&text),
				table_style_off(terminal, style));
	if (!rc && !last)
		rc = add_spaces(line, (right ? 0 : pad) + GAP);
	buf_done(&text);
	return rc;
}

int table_print(const struct table *table, FILE *out, const struct terminal *terminal)
{
	if (!table || table->lost)
		return ERR_NOMEM;
	size_t *widths = calloc(table->column_count + 1, sizeof(*widths));
	if (!widths)
		return ERR_NOMEM;
	measure(table, terminal, widths);
	struct buf line;
	buf_init(&line, LINE_MAX_BYTES);
	int rc = 0;
	for (size_t row = 0; row <= table_rows(table) && !rc; row++) {
		buf_clear(&line);
		for (size_t i = 0; i < table->column_count && !rc; i++) {
			const struct cell *cell = row > 0 ? &table->cells[(row - 1) * table->column_count + i] : NULL;
			rc = add_cell(&line, table, i, cell, widths[i], terminal);
		}
		while (!rc && line.len > 0 && line.data[line.len - 1] == ' ')
			line.data[--line.len] = '\0'; /* where the last cells are empty */
		if (!rc)
			(void)fprintf(out, "%s\n", buf_text(&line));
	}
	buf_done(&line);
	free(widths);
	return rc;
}
