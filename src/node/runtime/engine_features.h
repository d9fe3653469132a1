/* What an engine turned out to lack: features that workers can do without, each learnt once, from the engine's own
 * words or from its refusal. */
#pragma once

#include <jansson.h>
#include <stdbool.h>

enum engine_feature {
	ENGINE_INIT,         /* a small init as PID 1 (HostConfig.Init) */
	ENGINE_CPUSET,       /* pinning to CPUs */
	ENGINE_CPU_QUOTA,    /* limiting CPU time */
	ENGINE_HOST_GATEWAY, /* the host's address by a name */
	ENGINE_LOG_OPTIONS,  /* bounding a container's log */
	ENGINE_FEATURES,
};

struct engine_features {
	bool lacks[ENGINE_FEATURES];
};

/* From the answer to GET /info. Features that a Podman is known to have in another way are taken as lacking. Returns a
 * warning for the log, or NULL. */
const char *engine_features_read(struct engine_features *features, const json_t *info, bool podman);

/* The feature whose lack a refused create or start means, and what workers then miss; ENGINE_FEATURES where the refusal
 * means something else. */
enum engine_feature engine_features_missing(const char *refusal, const char **warning);
