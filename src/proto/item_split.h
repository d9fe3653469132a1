/* A stream of bytes taken apart into items. Pure: bytes in, items out.
 *
 *     rc = item_split_feed(&split, bytes, len);
 *     while (!rc && !(rc = item_split_next(&split, &item, &item_len, &err)) && item)
 *             use(item, item_len);
 *     item_split_drop(&split);
 */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum item_end {
	ITEM_END_NEWLINE,
	ITEM_END_NUL,
	ITEM_END_NONE, /* all that comes is one item, if anything comes */
	ITEM_END_RESP, /* bulk strings of RESP2, one after the other */
};

struct item_split {
	enum item_end end;
	size_t item_max;  /* bytes of one item */
	struct buf bytes; /* fed, and not dropped */
	size_t given;     /* so many bytes of them belong to items that were given out */
	size_t looked;    /* so many were looked at for an end */
	bool ended;
};

/* slack: bytes that may lie here beside one item of item_max. */
void item_split_init(struct item_split *split, enum item_end end, size_t item_max, size_t slack);
void item_split_done(struct item_split *split);

/* ERR_TOO_BIG: more than one item and the slack; take items out and drop them first. ERR_NOMEM. */
int item_split_feed(struct item_split *split, const char *bytes, size_t len) MUST_CHECK;

/* No more will be fed: what is left is the last item. */
void item_split_end(struct item_split *split);

/* The next item, valid until the next feed or drop; *item NULL: more bytes are needed, or, after the end, there is none.
 * ERR_TOO_BIG: this item is over item_max. ERR_PROTOCOL: what comes is not RESP. Both again at every further call. */
int item_split_next(struct item_split *split, const char **item, size_t *len, struct err *err) MUST_CHECK;

/* Forgets the bytes of all items that were given out. */
void item_split_drop(struct item_split *split);

/* Bytes that belong to no item given out. */
size_t item_split_left(const struct item_split *split);
