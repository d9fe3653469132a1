/* Which engine answers, and in which version of its API it is spoken to. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

struct engine_identity {
	char product[32]; /* "Docker Engine" or "Podman Engine" */
	char version[64];
	char api[16]; /* "1.41": the highest that both sides know */
	bool podman;
};

/* From the answer to GET /version. ERR_PROTOCOL where it is not a container engine, runs other than Linux containers,
 * or knows no API version that we know. */
int engine_identity_read(struct engine_identity *identity, const json_t *answer, struct err *err) MUST_CHECK;
