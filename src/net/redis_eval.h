/* Scripts on one connection: which of them it brought to Redis already, and how a call of one is written. Of redis_client.c
 * alone. */
#pragma once

#include "base/buf.h"
#include "net/redis_script.h"

#include <stdbool.h>
#include <stddef.h>

enum { REDIS_MAX_LOADED = 64 }; /* remembered; further ones are sent whole each time */

struct redis_loaded {
	const struct redis_script *scripts[REDIS_MAX_LOADED];
	size_t count;
};

bool redis_loaded_has(const struct redis_loaded *loaded, const struct redis_script *script);
void redis_loaded_add(struct redis_loaded *loaded, const struct redis_script *script);
void redis_loaded_drop(struct redis_loaded *loaded, const struct redis_script *script);

/* What follows the script in EVAL and EVALSHA: the number of keys, the keys, the rest. argc + 1 words. */
int redis_eval_write_tail(struct buf *tail, size_t key_count, size_t argc, const char *const *argv,
			  const size_t *lens) MUST_CHECK;

/* EVALSHA or EVAL, the script, and a tail of so many words. */
int redis_eval_write(struct buf *out, const struct redis_script *script, bool by_sha, size_t words,
		     const struct buf *tail) MUST_CHECK;
