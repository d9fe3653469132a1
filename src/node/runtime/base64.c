/* Owns base64. Called where registry credentials are read and sent. Never used for anything that must take a constant
 * time. */
#include "node/runtime/base64.h"

#include <stdint.h>
#include <string.h>

static const char URL_SAFE[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

int base64url_encode(struct buf *out, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;
	while (len > 0) {
		size_t part = len < 3 ? len : 3;
		uint32_t bits = (uint32_t)p[0] << 16 | (part > 1 ? (uint32_t)p[1] << 8 : 0) | (part > 2 ? p[2] : 0);
		char four[4] = {URL_SAFE[bits >> 18], URL_SAFE[bits >> 12 & 63],
				part > 1 ? URL_SAFE[bits >> 6 & 63] : '=', part > 2 ? URL_SAFE[bits & 63] : '='};
		int rc = buf_add(out, four, sizeof(four));
		if (rc)
			return rc;
		p += part;
		len -= part;
	}
	return 0;
}

static int value_of(char c)
{
	if (c == '+')
		return 62;
	if (c == '/')
		return 63;
	const char *at = c ? strchr(URL_SAFE, c) : NULL;
	return at ? (int)(at - URL_SAFE) : -1;
}

int base64_decode(struct buf *out, const char *text, size_t len)
{
	while (len > 0 && text[len - 1] == '=')
		len--;
	if (len % 4 == 1)
		return ERR_INVALID;
	uint32_t bits = 0;
	unsigned have = 0;
	for (size_t i = 0; i < len; i++) {
		int value = value_of(text[i]);
		if (value < 0)
			return ERR_INVALID;
		bits = (bits << 6 | (uint32_t)value) & 0xffffff;
		have += 6;
		if (have < 8)
			continue;
		have -= 8;
		char byte = (char)(bits >> have & 0xff);
		int rc = buf_add(out, &byte, 1);
		if (rc)
			return rc;
	}
	return 0;
}
