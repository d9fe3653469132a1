/* --results DIR: every result in files of its own.
 *
 *   items of ":::"      DIR/1/VALUE/stdout, with several groups DIR/1/VALUE/2/VALUE/stdout: GNU parallel's layout, in which
 *                       '/' in a value is written "\_", '\' "\\", a tab "\t", and the empty value "\0"
 *   files of --dir      DIR/NAME, the result itself
 *   anything else       DIR/SEQ/stdout, with SEQ the item's number
 *
 * Beside stdout stand stderr (of a failed command the end of it) and seq. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum result_layout { LAYOUT_SEQ, LAYOUT_VALUES, LAYOUT_NAMES };

struct result_file {
	int64_t seq;
	const char *item;      /* LAYOUT_VALUES */
	size_t item_len;
	const char *name;      /* LAYOUT_NAMES */
	const char *output, *error;
	size_t output_len, error_len;
	bool failed;           /* LAYOUT_NAMES has no file then */
};

/* Whole or not at all: no file has half of its content, whenever the program ends. */
int result_files_write(const char *directory, enum result_layout layout, const struct result_file *file, struct err *err) MUST_CHECK;
