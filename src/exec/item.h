/* One item, as the gateway gave it. Borrows its bytes from the gateway's answer. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct item {
	const char *bytes; /* what the command gets; a number in front is cut off */
	size_t len;
	bool has_seq;
	int64_t seq;       /* 0 … 10^18 - 1; undefined without has_seq */
	int64_t failures;  /* attempts of it that failed before */
};

/* numbered: "<decimal number> TAB <bytes>". ERR_INVALID, with a text for people, if it is not so. */
int item_init(struct item *item, const char *payload, size_t len, bool numbered, struct err *err) MUST_CHECK;
