/* Base64 of RFC 4648, section 4, padded: bytes that are no text, in JSON. */
#pragma once

#include "base/buf.h"

#include <stddef.h>

/* Adds the encoded bytes to `out`; errors are buf_add's. */
int base64_encode(struct buf *out, const void *bytes, size_t len) MUST_CHECK;
