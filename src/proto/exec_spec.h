/* What a task with `exec` wants of gridexec: the command for each item, and how items and results look. The same fields stand
 * in the task that a person registers, in what the hub sends to a node, and in what the node tells gridexec. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

enum exec_result_format {
	EXEC_RESULT_PLAIN, /* standard output as it is */
	EXEC_RESULT_TAG,   /* the item, a TAB, standard output */
	EXEC_RESULT_JSON,  /* all that is known, as one JSON object */
};

enum exec_item_end { EXEC_ITEM_END_NEWLINE, EXEC_ITEM_END_NUL, EXEC_ITEM_END_NONE };

/* The fields of a body, borrowed from it; zeroed before it is read. 0 and NULL: not there. */
struct exec_fields {
	json_t *exec; /* array of strings */
	json_int_t batch, max_result;
	const char *result_format, *item_format, *item_end;
};

struct exec_spec {
	json_t *command;      /* array of strings; NULL: the task has no exec, and what follows means nothing */
	json_int_t batch;     /* items given to one command together, at least 1 */
	json_int_t max_result; /* bytes of standard output that a command may write */
	enum exec_result_format result_format;
	bool numbered;        /* each item is "<decimal number> TAB <bytes>" */
	enum exec_item_end item_end; /* what is written behind each item on standard input */
};

/* Rows for json_read_fields that fill a struct exec_fields. */
#define EXEC_SPEC_ROWS(fields) \
	{.name = "exec", .type = JSON_FIELD_STRINGS, .into = &(fields)->exec}, \
	{.name = "batch", .type = JSON_FIELD_INTEGER, .into = &(fields)->batch, .min = 1, .max = LIMIT_LEASE_ITEMS}, \
	{.name = "max_result", .type = JSON_FIELD_INTEGER, .into = &(fields)->max_result, .min = 1, .max = LIMIT_MAX_RESULT}, \
	{.name = "result_format", .type = JSON_FIELD_STRING, .into = &(fields)->result_format}, \
	{.name = "item_format", .type = JSON_FIELD_STRING, .into = &(fields)->item_format}, \
	{.name = "item_end", .type = JSON_FIELD_STRING, .into = &(fields)->item_end}

/* Checks the fields and what they mean together; the command is borrowed. ERR_INVALID names the field. */
int exec_spec_read(const struct exec_fields *fields, struct exec_spec *spec, struct err *err) MUST_CHECK;

/* Sets the six fields. False without memory. */
bool exec_spec_put(json_t *object, const struct exec_spec *spec) MUST_CHECK;

/* Placeholders that stand in the command: for the item or a part of it ({} {.} {/} {//} {/.} {1} … {9}), for its number ({#}). */
struct exec_placeholders {
	bool item, number;
};
struct exec_placeholders exec_spec_placeholders(const json_t *command);
