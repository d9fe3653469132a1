/* Results that wait for their turn (-k): given out in the order of their items' numbers. Beyond a bound of memory they lie in
 * a temporary file that has no name; what stays in memory is 40 bytes each. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct order;

struct order_entry {
	int64_t seq;
	int64_t tag;       /* the caller's own */
	const char *bytes; /* live until the next call */
	size_t len;
};

/* Whether nothing will come for this number, so that the next one has its turn. */
typedef bool order_is_void(void *context, int64_t seq);

/* `next` is the number whose turn it is first. memory_max: bytes of results in memory. NULL without memory. */
struct order *order_new(int64_t next, size_t memory_max, order_is_void *is_void, void *context);
void order_free(struct order *order);

/* Takes a copy. ERR_NO_SPACE, ERR_IO with the file's name when the temporary file cannot take it. */
int order_add(struct order *order, int64_t seq, int64_t tag, const char *bytes, size_t len, struct err *err) MUST_CHECK;

/* The entry whose turn it is; *got false where it is not there yet. `all`: what is there, gaps or not. */
int order_take(struct order *order, bool all, struct order_entry *entry, bool *got, struct err *err) MUST_CHECK;

/* The number whose turn it is: everything below was given out. */
int64_t order_next(const struct order *order);

/* How many wait, and how many bytes of them lie in the file. */
size_t order_waiting(const struct order *order);
int64_t order_spilled(const struct order *order);
