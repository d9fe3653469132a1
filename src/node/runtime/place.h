/* One place: the network of a slot, held by a pause container, with the gateway's listener in it. The `struct place` of the
 * Docker runtime; the calls are those of runtime.h. */
#pragma once

#include "node/runtime/engine_host.h"

/* NULL with err set for a description that cannot be used. */
struct place *place_open(struct engine_host *host, const struct place_spec *spec, const struct place_events *events,
			 struct err *err);
void place_close(struct place *place);

const char *place_address(const struct place *place);

/* Changes a worker's body so that it finds the gateway. ERR_STATE unless the place listens; ERR_NOMEM. */
int place_join(const struct place *place, json_t *body, struct err *err) MUST_CHECK;

/* The runtime closes: no callback comes any more. Their containers are dropped with all others. */
void place_drop_all(struct engine_host *host);
