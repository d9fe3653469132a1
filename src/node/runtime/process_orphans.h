/* What earlier runs of this node's agent left of their process workers: found by their records, and cleared. */
#pragma once

#include <uv.h>

struct process_orphans;

/* found: how many records there were; what resisted was logged, and its record stays. */
typedef void process_orphans_on_done(void *context, unsigned found);

/* records: their directory. NULL without memory. on_done never comes from inside. */
struct process_orphans *process_orphans_clear(uv_loop_t *loop, const char *records, process_orphans_on_done *on_done,
					      void *context);

/* No callback comes any more. NULL is ignored. */
void process_orphans_abandon(struct process_orphans *orphans);
