/* Owns the knowledge of what an engine cannot do. Called when an engine is found and when it refuses a container. Never
 * gives up a limit that protects the machine's owner: memory and process limits are not in this table. */
#include "node/runtime/engine_features.h"

#include <stddef.h>
#include <string.h>

/* Both fragments are in a refusal that means the feature. */
static const struct {
	enum engine_feature feature;
	const char *fragments[2];
	const char *warning;
} REFUSALS[] = {
	{ENGINE_INIT,
	 {"docker-init", "executable file not found"},
	 "the engine has no docker-init: workers run without an init; one that does not handle SIGTERM is killed when its "
	 "time to stop is over (install the package tini or docker-init)"},
	{ENGINE_INIT,
	 {"error mounting", "docker-init"},
	 "the engine's docker-init cannot be used: workers run without an init; one that does not handle SIGTERM is killed "
	 "when its time to stop is over (check init-path in daemon.json)"},
	{ENGINE_INIT,
	 {"container-init binary", "not found"},
	 "the engine has no catatonit: workers run without an init; one that does not handle SIGTERM is killed when its "
	 "time to stop is over (install the package catatonit)"},
	{ENGINE_CPUSET,
	 {"controller", "`cpuset` is not available"},
	 "the engine cannot pin containers to CPUs (its cpuset controller is not delegated): affinity is set instead"},
	{ENGINE_CPU_QUOTA,
	 {"controller", "`cpu` is not available"},
	 "the engine cannot limit CPU time (the cpu controller is not delegated to it): workers go without that limit"},
	{ENGINE_CPU_QUOTA,
	 {"NanoCPUs can not be set", "CPU CFS scheduler"},
	 "the engine cannot limit CPU time (its kernel has no CFS quota): workers go without that limit"},
	{ENGINE_HOST_GATEWAY,
	 {"host-gateway", "IP"},
	 "the engine knows no address of its host: workers do not get the name host.docker.internal"},
	{ENGINE_LOG_OPTIONS,
	 {"log opt", "json-file"},
	 "the engine refuses bounds for container logs: they grow as its own configuration lets them"},
};

const char *engine_features_read(struct engine_features *features, const json_t *info, bool podman)
{
	*features = (struct engine_features){0};
	if (podman) {
		/* It adds host.docker.internal by itself and takes "host-gateway" literally; its log driver bounds
		 * what the owner configured. */
		features->lacks[ENGINE_HOST_GATEWAY] = true;
		features->lacks[ENGINE_LOG_OPTIONS] = true;
	}
	/* A field that is absent says nothing. */
	features->lacks[ENGINE_CPU_QUOTA] = json_is_false(json_object_get(info, "CpuCfsQuota"));
	features->lacks[ENGINE_CPUSET] = json_is_false(json_object_get(info, "CPUSet"));
	return features->lacks[ENGINE_CPUSET]
		       ? "the engine cannot pin containers to CPUs (its info says CPUSet: false): affinity is set instead"
		       : NULL;
}

enum engine_feature engine_features_missing(const char *refusal, const char **warning)
{
	for (size_t i = 0; i < sizeof(REFUSALS) / sizeof(REFUSALS[0]); i++) {
		if (strstr(refusal, REFUSALS[i].fragments[0]) && strstr(refusal, REFUSALS[i].fragments[1])) {
			*warning = REFUSALS[i].warning;
			return REFUSALS[i].feature;
		}
	}
	return ENGINE_FEATURES;
}
