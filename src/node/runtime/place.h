/* One place: the network of a slot, held by a pause container, with the gateway's listener in it. The `struct place` of the
 * Docker runtime; the calls are those of runtime.h. */
#pragma once

#include "node/runtime/engine_host.h"

/* NULL with err set for a description that cannot be used. */
struct place *place_open(struct engine_host *host, const struct place_spec *spec, const struct place_events *events,
			 struct err *err);
void place_close(struct place *place);

/* The id of the container whose network workers share; NULL unless it listens. */
const char *place_container(const struct place *place);

/* The runtime closes: no callback comes any more. Their containers are dropped with all others. */
void place_drop_all(struct engine_host *host);
