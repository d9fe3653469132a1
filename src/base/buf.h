/* A byte buffer that grows up to a cap named at its construction. It always ends with a NUL that is not counted, so
 * that text in it can be read as a C string. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data;      /* NULL while nothing was ever added */
	size_t len;      /* bytes in use, without the final NUL */
	size_t capacity; /* bytes allocated */
	size_t cap;      /* len never passes this */
};

void buf_init(struct buf *buf, size_t cap);
void buf_done(struct buf *buf);

/* Forgets the content, keeps the memory. */
void buf_clear(struct buf *buf);

/* ERR_TOO_BIG past the cap, ERR_NOMEM without memory; the content is unchanged then. */
int buf_add(struct buf *buf, const void *bytes, size_t len) MUST_CHECK;
int buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3))) MUST_CHECK;

/* Drops len bytes from the front. */
void buf_consume(struct buf *buf, size_t len);

/* The content as a string; "" when empty. */
const char *buf_text(const struct buf *buf);

/* Hands the memory to the caller (free()); the buffer is empty then. NULL only without memory. */
char *buf_steal(struct buf *buf);
