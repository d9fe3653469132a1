/* Owns base64. Never used for anything that must take a constant time. */
#include "base/base64.h"

#include <stdint.h>
#include <string.h>

#define COMMON "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
static const char PLAIN[] = COMMON "+/";
static const char URL_SAFE[] = COMMON "-_";

static int encode(struct buf *out, const void *bytes, size_t len, const char *alphabet)
{
	const unsigned char *p = bytes;
	for (size_t at = 0; at < len; at += 3) {
		size_t part = len - at < 3 ? len - at : 3;
		uint32_t bits = (uint32_t)p[at] << 16;
		bits |= part > 1 ? (uint32_t)p[at + 1] << 8 : 0;
		bits |= part > 2 ? p[at + 2] : 0;
		const char four[4] = {alphabet[bits >> 18], alphabet[bits >> 12 & 63], part > 1 ? alphabet[bits >> 6 & 63] : '=',
				      part > 2 ? alphabet[bits & 63] : '='};
		int rc = buf_add(out, four, sizeof(four));
		if (rc)
			return rc;
	}
	return 0;
}

int base64_encode(struct buf *out, const void *bytes, size_t len)
{
	return encode(out, bytes, len, PLAIN);
}

int base64url_encode(struct buf *out, const void *bytes, size_t len)
{
	return encode(out, bytes, len, URL_SAFE);
}

static int value_of(char c)
{
	if (c == '-' || c == '+')
		return 62;
	if (c == '_' || c == '/')
		return 63;
	const char *at = c ? strchr(PLAIN, c) : NULL;
	return at ? (int)(at - PLAIN) : -1;
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
