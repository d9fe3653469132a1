/* What is left of a process worker when its program has ended, or when the agent had: processes of its group, a control
 * group, a directory, a record. All of it goes. */
#pragma once

#include "node/runtime/process_record.h"

#include <uv.h>

struct process_remains;

/* err NULL: nothing is left. Else what stands in the way; the record then stays, for the next run. */
typedef void process_remains_on_done(void *context, const struct err *err);

/* NULL without memory. */
struct process_remains *process_remains_clear(uv_loop_t *loop, const struct process_record *record,
					      const char *record_path, process_remains_on_done *on_done, void *context);

/* No callback comes any more; it frees itself on the loop. NULL is ignored. */
void process_remains_abandon(struct process_remains *remains);
