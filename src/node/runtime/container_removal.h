/* The removal of one container, running or not, with its anonymous volumes. */
#pragma once

#include "node/runtime/engine_host.h"

struct container_removal;

/* err NULL: nothing of it is left. ERR_EXISTS: it is not ours, and stays. ERR_STATE: the engine is at it already, ask
 * again. ERR_CANCELLED: the engine went away before it answered. Anything else is the engine's refusal. */
typedef void container_removal_on_done(void *context, const struct err *err);

/* `reference` is an id, or a name. A container that somebody else may have made (`doubtful`) is looked at first and
 * removed only if it carries the owner's labels. NULL with err set when it cannot begin. */
struct container_removal *container_removal_start(struct engine_host *host, const char *reference, bool doubtful,
						  container_removal_on_done *on_done, void *context, struct err *err);

/* No callback comes any more. NULL is ignored. */
void container_removal_cancel(struct container_removal *removal);
