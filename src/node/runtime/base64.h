/* Base64 of RFC 4648, section 4 for reading and section 5 ("URL-safe", padded) for writing, as engines want them. */
#pragma once

#include "base/buf.h"

#include <stddef.h>

/* Adds the padded URL-safe form to `out`. */
int base64url_encode(struct buf *out, const void *bytes, size_t len) MUST_CHECK;

/* Adds the decoded bytes to `out`; padding may be missing. ERR_INVALID for anything else that is no base64. */
int base64_decode(struct buf *out, const char *text, size_t len) MUST_CHECK;
