/* Owns the encoding of base64. Called where bytes that are no text go into JSON; never used for secrets. */
#include "base/base64.h"

#include <stdint.h>

static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

int base64_encode(struct buf *out, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	for (size_t at = 0; at < len; at += 3) {
		size_t part = len - at < 3 ? len - at : 3;
		uint32_t bits = (uint32_t)p[at] << 16;
		bits |= part > 1 ? (uint32_t)p[at + 1] << 8 : 0;
		bits |= part > 2 ? p[at + 2] : 0;
		const char four[4] = {ALPHABET[bits >> 18], ALPHABET[bits >> 12 & 63], part > 1 ? ALPHABET[bits >> 6 & 63] : '=',
				      part > 2 ? ALPHABET[bits & 63] : '='};
		int rc = buf_add(out, four, sizeof(four));
		if (rc)
			return rc;
	}
	return 0;
}
