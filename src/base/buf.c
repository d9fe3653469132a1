/* Owns growable bytes under a cap. Called wherever a peer decides how much comes; never aborts on lack of memory. */
#include "base/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_CAPACITY = 256 };

void buf_init(struct buf *buf, size_t cap)
{
	*buf = (struct buf){.cap = cap};
}

void buf_done(struct buf *buf)
{
	free(buf->data);
	*buf = (struct buf){0};
}

void buf_clear(struct buf *buf)
{
	buf->len = 0;
	if (buf->data)
		buf->data[0] = '\0';
}

static int reserve(struct buf *buf, size_t more)
{
	if (more > buf->cap - buf->len)
		return ERR_TOO_BIG;

	size_t needed = buf->len + more + 1;
	if (needed <= buf->capacity)
		return 0;

	size_t capacity = buf->capacity ? buf->capacity : FIRST_CAPACITY;
	while (capacity < needed)
		capacity *= 2;
	if (capacity > buf->cap + 1)
		capacity = buf->cap + 1;

	char *data = realloc(buf->data, capacity);
	if (!data)
		return ERR_NOMEM;
	buf->data = data;
	buf->capacity = capacity;
	return 0;
}

int buf_add(struct buf *buf, const void *bytes, size_t len)
{
	int rc = reserve(buf, len);
	if (rc)
		return rc;
	if (len)
		memcpy(buf->data + buf->len, bytes, len);
	buf->len += len;
	buf->data[buf->len] = '\0';
	return 0;
}

int buf_printf(struct buf *buf, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	va_list again;
	va_copy(again, args);
	int len = vsnprintf(NULL, 0, format, args);
	va_end(args);

	int rc = len < 0 ? ERR_INVALID : reserve(buf, (size_t)len);
	if (rc == 0) {
		(void)vsnprintf(buf->data + buf->len, (size_t)len + 1, format, again);
		buf->len += (size_t)len;
	}
	va_end(again);
	return rc;
}

void buf_consume(struct buf *buf, size_t len)
{
	assert(len <= buf->len);
	if (len == 0)
		return;
	memmove(buf->data, buf->data + len, buf->len - len + 1);
	buf->len -= len;
}

const char *buf_text(const struct buf *buf)
{
	return buf->data ? buf->data : "";
}

char *buf_steal(struct buf *buf)
{
	char *data = buf->data ? buf->data : calloc(1, 1);
	size_t cap = buf->cap;
	*buf = (struct buf){.cap = cap};
	return data;
}
