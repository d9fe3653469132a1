/* Credentials for a registry, from the file in which `docker login` keeps them, as the Engine wants them in a header.
 */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

struct registry_auth {
	char *header; /* the value of X-Registry-Auth, or NULL: nobody is logged in */
	bool helper;  /* a credential helper has them, and is not asked */
};

/* From config.json's content. 0 also where it knows nothing about the registry; ERR_INVALID for an entry that cannot be
 * read. No credential ever gets into err. */
int registry_auth_read(struct registry_auth *auth, const json_t *config, const char *registry, struct err *err)
	MUST_CHECK;

/* From $DOCKER_CONFIG/config.json or ~/.docker/config.json; 0 without such a file. */
int registry_auth_load(struct registry_auth *auth, const char *registry, struct err *err) MUST_CHECK;

void registry_auth_done(struct registry_auth *auth);
