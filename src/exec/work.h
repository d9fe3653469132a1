/* What a task wants of gridexec: the answer to IDM EXEC, read once. */
#pragma once

#include "base/err.h"
#include "exec/template.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum result_format { RESULT_PLAIN, RESULT_TAG, RESULT_JSON };
enum item_end { ITEM_END_NEWLINE, ITEM_END_NUL, ITEM_END_NONE };

struct work {
	json_t *document;         /* everything below borrows from it */
	struct template template;
	size_t batch;             /* items for one command, at most; 1 if the command takes an item as an argument */
	size_t max_result;        /* bytes of standard output */
	enum result_format result_format;
	enum item_end item_end;
	bool numbered;            /* the items */
	double item_timeout;      /* seconds; 0: none */
	const char *output_queue; /* NULL: results go nowhere */
};

/* work_done it, also after an error. */
int work_read(struct work *work, const char *text, size_t len, struct err *err) MUST_CHECK;
void work_done(struct work *work);
