/* Owns the form of a create call's body. Called once per worker, and again when an engine turns out to lack something.
 * Never asks the engine, so that a test can read every byte of it. */
#include "node/runtime/container_spec.h"

#include "base/cleanup.h"
#include "node/runtime/exec_program.h"
#include "node/runtime/pause_image.h"

#include <stdbool.h>
#include <string.h>

enum {
	MEGABYTE = 1024 * 1024,
	/* The program needs next to nothing, but what the engine starts it with runs under these limits too. */
	PLACE_MEMORY_MB = 16,
	PLACE_PIDS_MAX = 32,
};

/* Nobody: by number, since the image has no list of users. */
#define PLACE_USER "65534:65534"

static const int64_t MEMORY_MB_MAX = INT64_C(1) << 40;
static const json_int_t NANO = 1000000000;

static json_t *strings(const char *const *items)
{
	json_t *array = json_array();
	for (size_t i = 0; array && items && items[i]; i++) {
		if (json_array_append_new(array, json_string(items[i]))) {
			json_decref(array);
			return NULL;
		}
	}
	return array;
}

static json_t *pairs(const char *const *items)
{
	json_t *object = json_object();
	for (size_t i = 0; object && items && items[i] && items[i + 1]; i += 2) {
		if (json_object_set_new(object, items[i], json_string(items[i + 1]))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

/* The command stands in the place of the image's entrypoint and arguments: its first word is the entrypoint. */
static int set_command(json_t *body, const json_t *command)
{
	if (!command || json_array_size(command) == 0)
		return 0;
	json_t *entrypoint = json_pack("[O]", json_array_get(command, 0));
	json_t *arguments = json_copy((json_t *)(uintptr_t)command);
	if (arguments)
		(void)json_array_remove(arguments, 0);
	int rc = json_object_set_new(body, "Entrypoint", entrypoint);
	return json_object_set_new(body, "Cmd", arguments) || rc ? -1 : 0;
}

static bool has_bridge(const char *network)
{
	return strcmp(network, "host") != 0 && strcmp(network, "none") != 0 && strncmp(network, "container:", 10) != 0;
}

static json_t *host_config(const struct worker_spec *spec, const struct runtime_options *options)
{
	json_int_t memory = (json_int_t)spec->memory_mb * MEGABYTE;
	const char *network = options->network && options->network[0] ? options->network : "bridge";

	/* Memory and swap are one limit: no swap beyond it. */
	AUTO_JSON json_t *host = json_pack(
		"{s:b, s:s, s:I, s:I, s:I, s:s, s:[s], s:o, s:{s:s, s:{s:s, s:s}}}", "Init", 1, "CpusetCpus",
		spec->cpus ? spec->cpus : "", "NanoCpus", (json_int_t)spec->cpu_count * NANO, "Memory", memory,
		"MemorySwap", memory, "NetworkMode", network, "CapDrop", "ALL", "CapAdd", strings(options->capabilities),
		"LogConfig", "Type", "json-file", "Config", "max-size", "1m", "max-file", "1");
	if (!host)
		return NULL;
	int rc = 0;
	if (options->pids_max > 0)
		rc |= json_object_set_new(host, "PidsLimit", json_integer(options->pids_max));
	if (options->no_new_privileges)
		rc |= json_object_set_new(host, "SecurityOpt", json_pack("[s]", "no-new-privileges"));
	if (has_bridge(network))
		rc |= json_object_set_new(host, "ExtraHosts", json_pack("[s]", "host.docker.internal:host-gateway"));
	return rc ? NULL : steal(host);
}

json_t *container_spec_body(const struct worker_spec *spec, const char *image, const struct runtime_options *options,
			    struct err *err)
{
	if (spec->memory_mb < 0 || spec->memory_mb > MEMORY_MB_MAX) {
		(void)err_set(err, ERR_INVALID, "a memory limit of %lld MB is not possible", (long long)spec->memory_mb);
		return NULL;
	}
	AUTO_JSON json_t *body = json_pack("{s:s, s:o, s:o, s:o}", "Image", image, "Env", strings(spec->env), "Labels",
					   pairs(spec->labels), "HostConfig", host_config(spec, options));
	if (!body || set_command(body, spec->command)) {
		(void)err_set(err, ERR_INVALID,
			      "the container cannot be described: its environment or command is not UTF-8 text, or memory "
			      "is short");
		return NULL;
	}
	return steal(body);
}

int container_spec_share_network(json_t *body, const char *container_id)
{
	json_t *host = json_object_get(body, "HostConfig");
	(void)json_object_del(host, "ExtraHosts"); /* the other container's are shared too, and engines refuse more */
	return json_object_set_new(host, "NetworkMode", json_sprintf("container:%s", container_id)) ? ERR_NOMEM : 0;
}

/* It is process 1 itself: the engine's init, which others in the container can look at, would keep the password in its environment. */
int container_spec_run_exec(json_t *body, const char *program)
{
	json_t *host = json_object_get(body, "HostConfig");
	json_t *mount = json_pack("{s:s, s:s, s:s, s:b}", "Type", "bind", "Source", program, "Target", EXEC_PROGRAM_TARGET, "ReadOnly", 1);
	int rc = json_object_set_new(host, "Mounts", mount ? json_pack("[o]", mount) : NULL);
	rc |= json_object_set_new(host, "Init", json_false());
	rc |= json_object_set_new(body, "Entrypoint", json_pack("[s]", EXEC_PROGRAM_TARGET));
	rc |= json_object_set_new(body, "Cmd", json_array());
	return rc ? ERR_NOMEM : 0;
}

/* A place never shares the machine's own network: the program would listen on the machine's loopback. */
static const char *place_network(const struct place_spec *spec, const struct runtime_options *options)
{
	if (!spec->outbound)
		return "none";
	return options->network && options->network[0] && has_bridge(options->network) ? options->network : "bridge";
}

static json_t *place_host_config(const char *network, const char *folder)
{
	const json_int_t memory = (json_int_t)PLACE_MEMORY_MB * MEGABYTE;
	return json_pack("{s:s, s:[s], s:b, s:[s], s:I, s:I, s:I, s:s, s:[{s:s, s:s, s:s, s:b}], s:{s:s, s:{s:s, s:s}}}",
			 "NetworkMode", network, "CapDrop", "ALL", "ReadonlyRootfs", 1, "SecurityOpt",
			 "no-new-privileges", "Memory", memory, "MemorySwap", memory, "PidsLimit",
			 (json_int_t)PLACE_PIDS_MAX, "IpcMode", "private", "Mounts", "Type", "bind", "Source", folder,
			 "Target", PAUSE_GATE, "ReadOnly", 1, "LogConfig", "Type", "json-file", "Config", "max-size",
			 "64k", "max-file", "1");
}

json_t *container_spec_place_body(const struct place_spec *spec, const char *image, const char *folder,
				  const struct runtime_options *options, struct err *err)
{
	json_t *labels = pairs(spec->labels);
	int rc = json_object_set_new(labels, PLACE_LABEL, json_string("1"));
	json_t *body = json_pack("{s:s, s:[s], s:s, s:o, s:o}", "Image", image, "Entrypoint", PAUSE_PROGRAM, "User",
				 PLACE_USER, "Labels", labels, "HostConfig",
				 place_host_config(place_network(spec, options), folder));
	if (body && rc == 0)
		return body;
	json_decref(body);
	(void)err_set(err, ERR_INVALID, "the place's container cannot be described: a path or label is not UTF-8 text, "
					"or memory is short");
	return NULL;
}

static const char *const FEATURE_FIELDS[ENGINE_FEATURES] = {
	[ENGINE_INIT] = "Init",
	[ENGINE_CPUSET] = "CpusetCpus",
	[ENGINE_CPU_QUOTA] = "NanoCpus",
	[ENGINE_HOST_GATEWAY] = "ExtraHosts",
	[ENGINE_LOG_OPTIONS] = "LogConfig",
};

void container_spec_strip(json_t *body, const struct engine_features *features)
{
	json_t *host = json_object_get(body, "HostConfig");
	for (size_t i = 0; i < ENGINE_FEATURES; i++) {
		if (features->lacks[i])
			(void)json_object_del(host, FEATURE_FIELDS[i]);
	}
}

bool container_spec_asks_for(const json_t *body, enum engine_feature feature)
{
	return json_object_get(json_object_get(body, "HostConfig"), FEATURE_FIELDS[feature]) != NULL;
}
