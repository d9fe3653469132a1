/* One image, made ready on this machine: the `struct image_call` of the Docker runtime. The calls are those of
 * runtime.h. */
#pragma once

#include "node/runtime/engine_host.h"

/* NULL with err set for a name that cannot be an image's. */
struct image_call *image_prepare(struct engine_host *host, const char *text, const char *platform,
				 const struct image_events *events, struct err *err);

/* No callback comes any more. NULL is ignored. */
void image_cancel(struct image_call *image);

/* The runtime closes. */
void image_cancel_all(struct engine_host *host);
