/* Owns the reading and sharing out of CPUs. Called at start-up and when a slot starts a container; never binds anything
 * itself. */
#include "node/cpus.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#if defined(__linux__)
int cpus_of_this_process(struct cpus *cpus, struct err *err)
{
	size_t size = CPU_ALLOC_SIZE(CPUS_MAX);
	cpu_set_t *set = CPU_ALLOC(CPUS_MAX);
	if (!set)
		return err_set(err, ERR_NOMEM, "out of memory");
	cpus->count = 0;
	int error = sched_getaffinity(0, size, set) ? errno : 0;
	for (int cpu = 0; !error && cpu < CPUS_MAX; cpu++) {
		if (CPU_ISSET_S(cpu, size, set))
			cpus->ids[cpus->count++] = cpu;
	}
	CPU_FREE(set);
	return error ? err_from_errno(err, error, "cannot read which CPUs this process may use") : 0;
}
#else
int cpus_of_this_process(struct cpus *cpus, struct err *err)
{
	(void)err;
	long online = sysconf(_SC_NPROCESSORS_ONLN);
	cpus->count = online < 1 ? 1 : online > CPUS_MAX ? CPUS_MAX : (size_t)online;
	for (size_t i = 0; i < cpus->count; i++)
		cpus->ids[i] = (int)i;
	return 0;
}
#endif

int cpus_of_slot(const struct cpus *cpus, size_t slot, size_t per_slot, char *list, size_t size)
{
	size_t count = per_slot < cpus->count ? per_slot : cpus->count;
	size_t len = 0;
	list[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		int id = cpus->ids[(slot * per_slot + i) % cpus->count];
		int added = snprintf(list + len, size - len, "%s%d", i ? "," : "", id);
		if (added < 0 || (size_t)added >= size - len)
			return ERR_TOO_BIG;
		len += (size_t)added;
	}
	return (int)count;
}

bool cpus_are_exclusive(const struct cpus *cpus, size_t slots, size_t per_slot)
{
	return slots * per_slot <= cpus->count;
}
