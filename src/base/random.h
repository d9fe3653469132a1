/* Randomness from the kernel, ids and secrets made of it, and their comparison in constant time. */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	UUID_SIZE = 37,  /* a UUID as text, with its NUL */
	TOKEN_SIZE = 44, /* 32 random bytes in URL-safe base64, with its NUL */
};

/* Never fails on a running Linux or macOS; ends the process if it does, since nothing secret could be made. */
void random_bytes(void *out, size_t len);
uint32_t random_u32(void);

/* A version 4 UUID (RFC 9562). */
void random_uuid(char out[UUID_SIZE]);

/* Whether text has the form of a UUID, in either case. */
bool uuid_is_valid(const char *text);

/* 256 random bits as URL-safe text. */
void random_token(char out[TOKEN_SIZE]);

/* Equal or not, in a time that depends on the given text's length alone. */
bool secret_equal(const char *secret, const char *given, size_t given_len);
