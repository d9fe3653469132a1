/* The last failed attempts of a task's items, for people who ask why: in memory alone, as JSON. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	FAILURES_KEPT = 100, /* of a task */
	FAILURE_ITEM = 1024, /* bytes of the item that are kept … */
	FAILURE_TAIL = 4096, /* … and of the end of what the worker wrote */
};

/* One attempt as the broker heard of it. The strings are borrowed. */
struct failure {
	const char *item; /* its beginning */
	size_t item_len;
	int64_t item_bytes; /* of the whole item */
	const char *error;  /* JSON text: reason, exit_status, out_of_memory, log_tail, node, hostname */
	int64_t attempts;   /* so far, with this one */
	bool dead;          /* it became a dead letter */
};

/* Into the list, which is made where it is NULL; the oldest one goes when there are too many. Without memory it is passed over. */
void failures_note(json_t **list, const struct failure *failure, int64_t now_wall_ms);

/* The last `most` of them, oldest first; a list of NULL has none. A new reference; NULL without memory. */
json_t *failures_last(const json_t *list, size_t most);
