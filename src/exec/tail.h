/* The last bytes of a stream. */
#pragma once

#include <stddef.h>

enum { TAIL_MAX = 8 * 1024 };

struct tail {
	size_t len;
	char bytes[2 * TAIL_MAX]; /* the content is the end of it: tail_text */
};

void tail_clear(struct tail *tail);
void tail_add(struct tail *tail, const char *bytes, size_t len);

/* The last *len bytes, TAIL_MAX at most; not a string. */
const char *tail_text(const struct tail *tail, size_t *len);
