/* How a container fares, asked of the engine: whether it runs, and if it has ended, how, and what it wrote last. */
#pragma once

#include "node/runtime/engine_host.h"

enum inquest_verdict {
	INQUEST_RUNNING, /* it runs (or is about to be restarted or resumed by somebody else) */
	INQUEST_ENDED,   /* `result` says how; status -1 where it is gone without a trace */
	INQUEST_SILENT,  /* the engine did not answer: ask again when it is back */
};

struct container_inquest;

/* `result` and its log_tail live as long as the callback runs; NULL unless it ended. */
typedef void container_inquest_on_done(void *context, enum inquest_verdict verdict, const struct worker_exit *result,
				       int stop_signal);

/* known_status is what `wait` told, or -1. NULL with err set when it cannot begin. */
struct container_inquest *container_inquest_start(struct engine_host *host, const char *id, int known_status,
						  container_inquest_on_done *on_done, void *context, struct err *err);

/* No callback comes any more. NULL is ignored. */
void container_inquest_cancel(struct container_inquest *inquest);
