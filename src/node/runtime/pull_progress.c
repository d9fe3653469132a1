/* Owns the adding-up of a pull's messages. Called with each line that the engine sends while it pulls. Never grows
 * with what comes, and never believes that a pull succeeded: only an inspected image says that.
 *
 * A message is {"status", "id", "progressDetail": {"current", "total"}} about a layer, {"error", "errorDetail"}, or
 * text about the whole. A layer goes "Pulling fs layer", "Waiting", "Downloading", "Download complete", "Extracting",
 * "Pull complete", or is there from the beginning: "Already exists". */
#include "node/runtime/pull_progress.h"

#include "node/runtime/engine_error.h"

#include <stdio.h>
#include <string.h>

void pull_progress_init(struct pull_progress *progress)
{
	*progress = (struct pull_progress){.percent = -1};
}

static struct pull_layer *layer_of(struct pull_progress *progress, const char *id)
{
	for (size_t i = 0; i < progress->count; i++) {
		if (strcmp(progress->layers[i].id, id) == 0)
			return &progress->layers[i];
	}
	if (progress->count == PULL_LAYERS_MAX || strlen(id) >= sizeof(progress->layers[0].id))
		return NULL;
	struct pull_layer *layer = &progress->layers[progress->count++];
	*layer = (struct pull_layer){0};
	memcpy(layer->id, id, strlen(id) + 1);
	return layer;
}

static int64_t bytes_of(const json_t *detail, const char *key)
{
	json_int_t n = json_integer_value(json_object_get(detail, key));
	return n > 0 ? n : 0;
}

static bool is_about_layer(const char *status)
{
	static const char *const KINDS[] = {"Pulling fs layer", "Waiting", "Downloading", "Verifying Checksum",
					    "Download complete", "Extracting", "Pull complete", "Already exists"};
	for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
		if (strcmp(status, KINDS[i]) == 0)
			return true;
	}
	return false;
}

static void update_layer(struct pull_layer *layer, const char *status, const json_t *detail)
{
	int64_t total = bytes_of(detail, "total");
	int64_t current = bytes_of(detail, "current");
	if (total > layer->total)
		layer->total = total;
	if (current > layer->total)
		current = layer->total;

	if (strcmp(status, "Downloading") == 0) {
		layer->downloaded = current;
	} else if (strcmp(status, "Download complete") == 0) {
		layer->downloaded = layer->total;
	} else if (strcmp(status, "Extracting") == 0) {
		layer->downloaded = layer->total;
		layer->extracted = current;
	} else if (strcmp(status, "Pull complete") == 0 || strcmp(status, "Already exists") == 0) {
		layer->downloaded = layer->extracted = layer->total;
		layer->complete = true;
	}
}

/* Downloading counts three quarters of a byte, extracting one. A layer of unknown size weighs as much as the mean of
 * the others; while no size is known there is no percentage. */
static void add_up(struct pull_progress *progress)
{
	double total = 0;
	double downloaded = 0;
	double done = 0;
	size_t known = 0;
	size_t complete = 0;
	size_t complete_unknown = 0;
	for (size_t i = 0; i < progress->count; i++) {
		const struct pull_layer *layer = &progress->layers[i];
		complete += layer->complete;
		if (layer->total == 0) {
			complete_unknown += layer->complete;
			continue;
		}
		known++;
		total += (double)layer->total;
		downloaded += (double)layer->downloaded;
		done += 0.75 * (double)layer->downloaded + 0.25 * (double)layer->extracted;
	}
	if (known) {
		double mean = total / (double)known;
		double all = mean * (double)progress->count;
		int percent = (int)(100 * (done + mean * (double)complete_unknown) / all);
		if (percent > progress->percent)
			progress->percent = percent > 100 ? 100 : percent;
	}
	(void)snprintf(progress->text, sizeof(progress->text), "%zu of %zu layers, %.1f of %.1f MB", complete,
		       progress->count, downloaded / 1e6, total / 1e6);
}

void pull_progress_add(struct pull_progress *progress, const json_t *message)
{
	const char *error = json_string_value(json_object_get(message, "error"));
	if (!error)
		error = json_string_value(json_object_get(json_object_get(message, "errorDetail"), "message"));
	if (error) {
		(void)engine_error_explain(&progress->err, ERR_IO, error);
		return;
	}
	const char *id = json_string_value(json_object_get(message, "id"));
	const char *status = json_string_value(json_object_get(message, "status"));
	if (!id || !status || !is_about_layer(status))
		return;
	struct pull_layer *layer = layer_of(progress, id);
	if (!layer)
		return;
	update_layer(layer, status, json_object_get(message, "progressDetail"));
	add_up(progress);
}
