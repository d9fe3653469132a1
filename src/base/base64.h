/* Base64 of RFC 4648, padded: bytes that are no text, in JSON and in headers. Errors of the first two are buf_add's. */
#pragma once

#include "base/buf.h"

#include <stddef.h>

/* Section 4. */
int base64_encode(struct buf *out, const void *bytes, size_t len) MUST_CHECK;

/* Section 5: URL-safe. */
int base64url_encode(struct buf *out, const void *bytes, size_t len) MUST_CHECK;

/* Adds the decoded bytes, of either section; padding may be missing. ERR_INVALID for anything else that is no base64. */
int base64_decode(struct buf *out, const char *text, size_t len) MUST_CHECK;
