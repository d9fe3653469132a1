/* The body of a create call: a worker's description and what the machine's owner allows, as the Engine API wants
 * them. */
#pragma once

#include "base/err.h"
#include "node/runtime/engine_features.h"
#include "node/runtime/runtime.h"

#include <jansson.h>

/* A new reference, or NULL with err set: ERR_NOMEM, or ERR_INVALID for a text that is not UTF-8 or an impossible
 * value. */
json_t *container_spec_body(const struct worker_spec *spec, const char *image, const struct runtime_options *options,
			    struct err *err);

/* A worker's body, changed: the network is that of another container, and only that. ERR_NOMEM. */
int container_spec_share_network(json_t *body, const char *container_id) MUST_CHECK;

/* A worker's body, changed: gridexec, from this file, is what runs, and nothing of the image. ERR_NOMEM. */
int container_spec_run_exec(json_t *body, const char *program) MUST_CHECK;

/* The body of a place's container: the pause program in the narrowest sandbox. `folder` is the directory with the agent's
 * socket. A new reference, or NULL with err set. */
json_t *container_spec_place_body(const struct place_spec *spec, const char *image, const char *folder,
				  const struct runtime_options *options, struct err *err);

/* Takes out what the engine lacks. */
void container_spec_strip(json_t *body, const struct engine_features *features);

/* Whether the body still asks for the feature. */
bool container_spec_asks_for(const json_t *body, enum engine_feature feature);
