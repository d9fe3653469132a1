/* Owns the keeping of a stream's end. Called by child.c for standard error; never grows. */
#include "exec/tail.h"

#include <string.h>

void tail_clear(struct tail *tail)
{
	tail->len = 0;
}

void tail_add(struct tail *tail, const char *bytes, size_t len)
{
	if (len > TAIL_MAX) {
		bytes += len - TAIL_MAX;
		len = TAIL_MAX;
	}
	if (tail->len + len > sizeof(tail->bytes)) {
		memmove(tail->bytes, tail->bytes + tail->len - TAIL_MAX, TAIL_MAX);
		tail->len = TAIL_MAX;
	}
	memcpy(tail->bytes + tail->len, bytes, len);
	tail->len += len;
}

const char *tail_text(const struct tail *tail, size_t *len)
{
	*len = tail->len < TAIL_MAX ? tail->len : TAIL_MAX;
	return tail->bytes + tail->len - *len;
}
