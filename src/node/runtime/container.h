/* One worker as a container of an engine: the `struct worker` of the Docker runtime. The calls are those of
 * runtime.h. */
#pragma once

#include "node/runtime/engine_host.h"

/* NULL with err set for a description that cannot be used. */
struct worker *container_start(struct engine_host *host, const struct worker_spec *spec,
			       const struct worker_events *events, struct err *err);
/* The same for a container that is described already, as a place's is: the body is taken over, also when this fails. */
struct worker *container_start_described(struct engine_host *host, const char *name, json_t *body,
					 const struct worker_events *events, struct err *err);

/* The engine's id of a container that was made and has not ended; else NULL. */
const char *container_id(const struct worker *worker);

void container_signal(struct worker *worker, enum worker_signal signal);
void container_remove(struct worker *worker);

/* The runtime closes: no callback comes any more, the containers stay as they are. */
void container_drop_all(struct engine_host *host);

/* The engine answers again: what waited for it goes on. Calls nobody back. */
void container_all_engine_ready(struct engine_host *host);

/* The engine told that the kernel killed something in the container with this id for its memory limit. */
void container_note_out_of_memory(struct engine_host *host, const char *id);

/* Somebody, perhaps we, sent a signal to the container with this id through the engine. */
void container_note_signal(struct engine_host *host, const char *id, int signal);

/* Whether one of the host's workers has, or is about to get, the container with this name (without a slash). */
bool container_is_known(const struct engine_host *host, const char *name);
