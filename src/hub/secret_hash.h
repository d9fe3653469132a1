/* How the hub keeps nodes' secrets: not at all, but their SHA-256. They are 256 random bits, so nothing slower is needed. */
#pragma once

#include <stdbool.h>

enum { SECRET_HASH_SIZE = 65 }; /* 64 hex digits and the NUL */

/* False without memory; `hash` is "" then. */
bool secret_hash(const char *secret, char hash[SECRET_HASH_SIZE]);
