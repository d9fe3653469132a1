/* Owns the form of EVAL and EVALSHA, and the memory of what a connection loaded. Called by the Redis client; never sends. */
#include "net/redis_eval.h"

#include "net/resp.h"

#include <stdio.h>
#include <string.h>

bool redis_loaded_has(const struct redis_loaded *loaded, const struct redis_script *script)
{
	for (size_t i = 0; i < loaded->count; i++) {
		if (loaded->scripts[i] == script)
			return true;
	}
	return false;
}

void redis_loaded_add(struct redis_loaded *loaded, const struct redis_script *script)
{
	if (loaded->count < REDIS_MAX_LOADED && !redis_loaded_has(loaded, script))
		loaded->scripts[loaded->count++] = script;
}

void redis_loaded_drop(struct redis_loaded *loaded, const struct redis_script *script)
{
	for (size_t i = 0; i < loaded->count; i++) {
		if (loaded->scripts[i] == script) {
			loaded->scripts[i] = loaded->scripts[--loaded->count];
			return;
		}
	}
}

int redis_eval_write_tail(struct buf *tail, size_t key_count, size_t argc, const char *const *argv, const size_t *lens)
{
	char keys[24];
	int keys_len = snprintf(keys, sizeof(keys), "%zu", key_count);
	int rc = resp_add_bulk(tail, keys, (size_t)keys_len);
	for (size_t i = 0; i < argc && !rc; i++)
		rc = resp_add_bulk(tail, argv[i], lens ? lens[i] : strlen(argv[i]));
	return rc;
}

int redis_eval_write(struct buf *out, const struct redis_script *script, bool by_sha, size_t words,
		     const struct buf *tail)
{
	int rc = resp_add_array(out, 2 + words);
	if (!rc)
		rc = by_sha ? resp_add_bulk(out, "EVALSHA", 7) : resp_add_bulk(out, "EVAL", 4);
	if (!rc)
		rc = by_sha ? resp_add_bulk(out, script->sha, REDIS_SHA_SIZE - 1)
			    : resp_add_bulk(out, script->text, script->len);
	return rc ? rc : buf_add(out, tail->data, tail->len);
}
