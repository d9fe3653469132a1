/* Owns what all workers and images of one engine share. Called by the runtime, which fills it, and by workers and
 * images, which read it. Never calls the engine itself. */
#include "node/runtime/engine_host.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "node/runtime/exec_program.h"
#include "node/runtime/place_folder.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WARNING_MAX = 1024 };

void engine_free_strings(const char *const *items)
{
	for (size_t i = 0; items && items[i]; i++)
		free((char *)(uintptr_t)items[i]);
	free((void *)(uintptr_t)items);
}

const char *const *engine_copy_strings(const char *const *items)
{
	size_t count = 0;
	while (items && items[count])
		count++;
	const char **copy = calloc(count + 1, sizeof(*copy));
	for (size_t i = 0; copy && i < count; i++) {
		copy[i] = strdup(items[i]);
		if (!copy[i]) {
			engine_free_strings(copy);
			return NULL;
		}
	}
	return copy;
}

static json_t *labels_object(const char *const *labels)
{
	json_t *object = json_object();
	for (size_t i = 0; object && labels && labels[i] && labels[i + 1]; i += 2) {
		if (json_object_set_new(object, labels[i], json_string(labels[i + 1]))) {
			json_decref(object);
			return NULL;
		}
	}
	return object;
}

int engine_host_init(struct engine_host *host, uv_loop_t *loop, const struct runtime_options *options, struct err *err)
{
	*host = (struct engine_host){.loop = loop};
	(void)err_set(&host->lost, ERR_UNREACHABLE, "the container engine was not found yet");
	host->options = (struct runtime_options){
		.engine_host = strdup(options->engine_host ? options->engine_host : ""),
		.network = strdup(options->network ? options->network : ""),
		.pids_max = options->pids_max,
		.capabilities = engine_copy_strings(options->capabilities),
		.no_new_privileges = options->no_new_privileges,
		.owner_labels = engine_copy_strings(options->owner_labels),
		.gateway = options->gateway,
	};
	host->gateway_by_tcp = options->gateway == GATEWAY_TCP;
	host->owner_labels = labels_object(options->owner_labels);
	if (!host->options.engine_host || !host->options.network || !host->options.capabilities ||
	    !host->options.owner_labels || !host->owner_labels)
		return err_set(err, ERR_NOMEM, "out of memory");
	/* Without labels every container on the machine would look like ours. */
	if (json_object_size(host->owner_labels) == 0)
		return err_set(err, ERR_INVALID, "a runtime needs labels that tell its containers from others");
	return 0;
}

void engine_host_done(struct engine_host *host)
{
	free((char *)(uintptr_t)host->options.engine_host);
	free((char *)(uintptr_t)host->options.network);
	engine_free_strings(host->options.capabilities);
	engine_free_strings(host->options.owner_labels);
	json_decref(host->owner_labels);
	if (host->exec_program)
		exec_program_remove(host->places_folder);
	free(host->exec_program);
	place_folder_close(host->places_folder);
	for (size_t i = 0; i < host->warned_count; i++)
		free(host->warned[i]);
	*host = (struct engine_host){0};
}

const char *engine_host_places_folder(struct engine_host *host, struct err *err)
{
	if (host->places_folder)
		return host->places_folder;
	AUTO_FREE char *owner = json_dumps(host->owner_labels, JSON_COMPACT | JSON_SORT_KEYS);
	if (!owner) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	host->places_folder = place_folder_open(owner, err);
	return host->places_folder;
}

const char *engine_host_exec_program(struct engine_host *host, struct err *err)
{
	const char *folder = engine_host_places_folder(host, err);
	char *program = folder ? exec_program_place(folder, err) : NULL;
	if (!program)
		return NULL;
	free(host->exec_program);
	host->exec_program = program;
	return program;
}

void engine_host_warn(struct engine_host *host, const char *format, ...)
{
	char text[WARNING_MAX];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);

	for (size_t i = 0; i < host->warned_count; i++) {
		if (strcmp(host->warned[i], text) == 0)
			return;
	}
	char *copy = host->warned_count < ENGINE_WARNINGS_MAX ? strdup(text) : NULL;
	if (!copy) {
		log_debug("runtime", "%s", text);
		return;
	}
	host->warned[host->warned_count++] = copy;
	log_warn("runtime", "%s", text);
}

bool engine_host_owns(const struct engine_host *host, const json_t *labels)
{
	const char *name;
	json_t *value;
	json_object_foreach (host->owner_labels, name, value) {
		if (!json_equal(value, json_object_get(labels, name)))
			return false;
	}
	return json_object_size(host->owner_labels) > 0;
}

char *engine_host_filter(const struct engine_host *host, const char *const *events)
{
	AUTO_JSON json_t *labels = json_array();
	const char *name;
	json_t *value;
	json_object_foreach (host->owner_labels, name, value) {
		if (json_array_append_new(labels, json_sprintf("%s=%s", name, json_string_value(value))))
			return NULL;
	}
	AUTO_JSON json_t *filter = json_pack("{s:O}", "label", labels);
	if (events && (json_object_set_new(filter, "type", json_pack("[s]", "container")) ||
		       json_object_set_new(filter, "event", json_array())))
		return NULL;
	for (; events && *events; events++) {
		if (json_array_append_new(json_object_get(filter, "event"), json_string(*events)))
			return NULL;
	}
	return filter ? json_dumps(filter, JSON_COMPACT) : NULL;
}
