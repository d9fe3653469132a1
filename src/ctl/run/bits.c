/* Owns the memory of a set of numbers. Called by the tracker, the acknowledgement and the job log; never shrinks. */
#include "ctl/run/bits.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 1024 };

void bits_done(struct bits *bits)
{
	free(bits->bytes);
	*bits = (struct bits){0};
}

static int grow(struct bits *bits, size_t needed)
{
	size_t size = bits->size ? bits->size : FIRST_SIZE;
	while (size < needed)
		size *= 2;
	unsigned char *bytes = realloc(bits->bytes, size);
	if (!bytes)
		return ERR_NOMEM;
	memset(bytes + bits->size, 0, size - bits->size);
	bits->bytes = bytes;
	bits->size = size;
	return 0;
}

int bits_add(struct bits *bits, int64_t number)
{
	if (number < 0 || number >= BITS_MAX)
		return ERR_TOO_BIG;
	size_t byte = (size_t)number / 8;
	int rc = byte < bits->size ? 0 : grow(bits, byte + 1);
	if (!rc)
		bits->bytes[byte] |= (unsigned char)(1U << (number % 8));
	return rc;
}

void bits_remove(struct bits *bits, int64_t number)
{
	if (bits_has(bits, number))
		bits->bytes[(size_t)number / 8] &= (unsigned char)~(1U << (number % 8));
}

bool bits_has(const struct bits *bits, int64_t number)
{
	return number >= 0 && (uint64_t)number / 8 < bits->size && (bits->bytes[(size_t)number / 8] >> (number % 8) & 1);
}

void bits_clear(struct bits *bits)
{
	if (bits->bytes)
		memset(bits->bytes, 0, bits->size);
}
