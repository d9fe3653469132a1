/* The containers that an earlier run left on the engine: found by the owner's labels, and removed. */
#pragma once

#include "node/runtime/engine_host.h"

struct orphans;

/* err NULL: none is left, or those that resisted were logged. Else the engine went away before the end. */
typedef void orphans_on_done(void *context, unsigned removed, const struct err *err);

/* Spares the containers of the host's own workers. NULL with err set when it cannot begin. */
struct orphans *orphans_remove(struct engine_host *host, orphans_on_done *on_done, void *context, struct err *err);

/* No callback comes any more. NULL is ignored. */
void orphans_cancel(struct orphans *orphans);
