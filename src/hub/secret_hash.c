/* Owns the hashing of nodes' secrets. Called by the registry of nodes; keeps nothing. */
#include "hub/secret_hash.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

bool secret_hash(const char *secret, char hash[SECRET_HASH_SIZE])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;
	hash[0] = '\0';
	if (EVP_Digest(secret, strlen(secret), digest, &len, EVP_sha256(), NULL) != 1 || 2 * len + 1 != SECRET_HASH_SIZE)
		return false;
	for (unsigned i = 0; i < len; i++)
		(void)snprintf(hash + 2 * (size_t)i, 3, "%02x", digest[i]);
	return true;
}
