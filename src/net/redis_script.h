/* A Lua script as Redis names it: by the SHA-1 of its text. */
#pragma once

#include "base/err.h"

#include <stddef.h>

enum { REDIS_SHA_SIZE = 41 };

struct redis_script {
	const char *name; /* for messages */
	const char *text; /* not copied: embedded in the program (scripts/embed.py) */
	size_t len;
	char sha[REDIS_SHA_SIZE]; /* "" until redis_script_init */
};

/* Fills in the SHA-1. name and text must outlive it. */
int redis_script_init(struct redis_script *script, const char *name, const char *text, size_t len,
		      struct err *err) MUST_CHECK;
