/* Small things that several commands show: fields of an object, command lines, JSON's members. */
#pragma once

#include "base/buf.h"
#include "ctl/ctl.h"
#include "ctl/table.h"

#include <jansson.h>
#include <stdint.h>

enum { SHOW_FIELD_WIDTH = 15 };

/* "Name:          text" on standard output, the text as shown_add makes it. */
void show_field(const struct ctl *ctl, const char *name, enum table_style style, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* A member of an object; "" and 0 where there is none, or of another type. */
const char *show_text(json_t *object, const char *name);
int64_t show_integer(json_t *object, const char *name);
double show_number(json_t *object, const char *name);

/* A JSON array of strings as a shell would want it. */
void show_words(struct buf *into, json_t *words);

/* A word as a shell would want it: as it is, or in single quotes. */
void show_shell_word(struct buf *into, const char *word);

/* Says that there is no memory. CTL_FAILED. */
int show_no_memory(struct ctl *ctl);
