/* Owns what comes to the knowledge of containers by their id or name: the engine's events, and the question whether one is
 * ours. Called by the runtime and by orphans.c. Never moves a container's state: the end, when it comes, takes it into
 * account. */
#include "node/runtime/container_life.h"

#include <string.h>
#include <utlist.h>

void container_note_out_of_memory(struct engine_host *host, const char *id)
{
	struct worker *worker;
	DL_FOREACH (host->workers, worker) {
		if (worker->made == MADE && strcmp(worker->id, id) == 0)
			worker->oom_seen = true;
	}
}

void container_note_signal(struct engine_host *host, const char *id, int signal)
{
	struct worker *worker;
	DL_FOREACH (host->workers, worker) {
		if (worker->made == MADE && strcmp(worker->id, id) == 0)
			worker->signals_seen |= signal_bit(signal);
	}
}

bool container_is_known(const struct engine_host *host, const char *name)
{
	const struct worker *worker;
	DL_FOREACH (host->workers, worker) {
		if (strcmp(worker->name, name) == 0)
			return true;
	}
	return false;
}
