/* A set of numbers from 0 on, a bit each; grows as they come. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Items of one run: 512 MiB of bits. */
#define BITS_MAX (INT64_C(1) << 32)

struct bits {
	unsigned char *bytes; /* NULL while nothing is in it */
	size_t size;
};

void bits_done(struct bits *bits);

/* ERR_TOO_BIG for a number that is negative or from BITS_MAX on. */
int bits_add(struct bits *bits, int64_t number) MUST_CHECK;
void bits_remove(struct bits *bits, int64_t number);
bool bits_has(const struct bits *bits, int64_t number);

/* Removes all, keeps the memory. */
void bits_clear(struct bits *bits);
