/* Owns random ids and secrets. Called at registration, first run and login; never keeps what it made. */
#include "base/random.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

void random_bytes(void *out, size_t len)
{
	unsigned char *at = out;
	while (len > 0) {
		size_t part = len < 256 ? len : 256; /* getentropy's own limit */
		if (getentropy(at, part) != 0)
			abort();
		at += part;
		len -= part;
	}
}

uint32_t random_u32(void)
{
	uint32_t value;
	random_bytes(&value, sizeof(value));
	return value;
}

void random_uuid(char out[UUID_SIZE])
{
	unsigned char b[16];
	random_bytes(b, sizeof(b));
	b[6] = (unsigned char)((b[6] & 0x0f) | 0x40);
	b[8] = (unsigned char)((b[8] & 0x3f) | 0x80);
	(void)snprintf(out, UUID_SIZE, "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		       b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14], b[15]);
}

static bool is_hex(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

bool uuid_is_valid(const char *text)
{
	for (size_t i = 0; i < UUID_SIZE - 1; i++) {
		bool dash = i == 8 || i == 13 || i == 18 || i == 23;
		if (dash ? text[i] != '-' : !is_hex(text[i]))
			return false;
	}
	return text[UUID_SIZE - 1] == '\0';
}

void random_token(char out[TOKEN_SIZE])
{
	static const char ALPHABET[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
	unsigned char b[33] = {0}; /* the last byte pads the last group of three */
	random_bytes(b, 32);
	for (size_t i = 0, o = 0; o < TOKEN_SIZE - 1; i += 3) {
		uint32_t group = (uint32_t)b[i] << 16 | (uint32_t)b[i + 1] << 8 | b[i + 2];
		for (int shift = 18; shift >= 0 && o < TOKEN_SIZE - 1; shift -= 6)
			out[o++] = ALPHABET[(group >> shift) & 63];
	}
	out[TOKEN_SIZE - 1] = '\0';
}

bool secret_equal(const char *secret, const char *given, size_t given_len)
{
	size_t secret_len = strlen(secret);
	unsigned difference = secret_len == given_len && secret_len > 0 ? 0 : 1;
	for (size_t i = 0; i < given_len; i++) {
		char expected = secret_len > 0 ? secret[i % secret_len] : '\0';
		difference |= (unsigned)(unsigned char)(expected ^ given[i]);
	}
	return difference == 0;
}
