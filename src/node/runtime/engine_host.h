/* What workers and images see of their engine: whether it is there, what it can do, and what the machine's owner lets
 * workers have. One per runtime, which alone changes it. */
#pragma once

#include "node/runtime/engine_api.h"
#include "node/runtime/engine_features.h"
#include "node/runtime/runtime.h"

enum { ENGINE_WARNINGS_MAX = 64 };

struct engine_host {
	uv_loop_t *loop;
	struct engine *engine;
	bool ready;      /* it answers; else `lost` says why not */
	struct err lost;
	struct engine_features features;
	struct runtime_options options; /* our own copy */
	json_t *owner_labels;           /* the same labels as an object */
	struct worker *workers;         /* doubly linked; each adds and takes out itself */
	struct image_call *images;      /* likewise */
	struct place *places;           /* likewise */
	char *places_folder;            /* place_folder.h; NULL until a place needs it */
	char *exec_program;             /* exec_program.h; NULL until a worker needs it */
	bool gateway_by_tcp;            /* as the owner wants it, or since the engine cannot do better */
	bool containers_outlive_it;     /* the engine's shutdown ends no container (live restore) */
	struct {                        /* of pause_image.c alone */
		struct pause_image_wish *wishes;
		struct engine_call *call; /* NULL: idle */
		bool just_made;           /* by the last call; this look must find it */
		bool made;                /* by this run, so that the name can be believed */
	} pause_image;
	char *warned[ENGINE_WARNINGS_MAX]; /* texts that were logged, so that each is logged once */
	size_t warned_count;
};

/* Copies the options. 0, or ERR_NOMEM, ERR_INVALID; engine_host_done is right after both. */
int engine_host_init(struct engine_host *host, uv_loop_t *loop, const struct runtime_options *options, struct err *err)
	MUST_CHECK;

/* Frees what is its own; the engine must be closed, workers and images gone. */
void engine_host_done(struct engine_host *host);

/* The directory for the sockets of places (place_folder.h), made when it is first asked for; NULL with err set. */
const char *engine_host_places_folder(struct engine_host *host, struct err *err);

/* The file with gridexec, there and whole; NULL with err set. */
const char *engine_host_exec_program(struct engine_host *host, struct err *err);

/* Logs a warning once per distinct text; after ENGINE_WARNINGS_MAX texts at debug level only. */
void engine_host_warn(struct engine_host *host, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A list of texts that NULL ends. The copy is NULL only without memory; of no list it is an empty one. */
const char *const *engine_copy_strings(const char *const *items);
void engine_free_strings(const char *const *items);

/* Whether labels, as the engine tells them, are those of a container of ours. */
bool engine_host_owns(const struct engine_host *host, const json_t *labels);

/* The filter that selects our containers: {"label": ["name=value", …]}, for a list or, with the names of events (ended by
 * NULL), for the event stream. free() it; NULL only without memory. */
char *engine_host_filter(const struct engine_host *host, const char *const *events);
