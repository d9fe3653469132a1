/* Owns the naming of Lua scripts. Called once per script at start; never talks to Redis. */

/* OpenSSL has a type of this name, which nobody needs; ours is an error code. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/evp.h>
#undef ERR_STATE

#include "net/redis_script.h"

#include <stdio.h>

enum { SHA1_BYTES = 20 };

int redis_script_init(struct redis_script *script, const char *name, const char *text, size_t len, struct err *err)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	*script = (struct redis_script){.name = name, .text = text, .len = len};
	if (EVP_Digest(text, len, digest, &digest_len, EVP_sha1(), NULL) != 1 || digest_len != SHA1_BYTES)
		return err_set(err, ERR_INTERNAL, "%s: the SHA-1 of the script cannot be computed", name);
	for (unsigned i = 0; i < SHA1_BYTES; i++)
		(void)snprintf(script->sha + 2 * i, 3, "%02x", digest[i]);
	return 0;
}
