/* Owns the pinning of processes that somebody else started. Called after a container's start, where the engine has no
 * cpusets. Never touches a process that is not provably of that container: an engine in a virtual machine tells process
 * ids that mean something else here. */
#include "node/runtime/cpu_pin.h"

#ifdef __linux__

#include "base/cleanup.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { DEPTH_MAX = 16, LINE_MAX_BYTES = 4096 };

static int read_cpu(const char **text, unsigned *cpu)
{
	char *end;
	if (**text < '0' || **text > '9')
		return ERR_INVALID;
	errno = 0;
	unsigned long number = strtoul(*text, &end, 10);
	if (errno || number >= CPU_SETSIZE)
		return ERR_INVALID;
	*text = end;
	*cpu = (unsigned)number;
	return 0;
}

int cpu_list_parse(const char *cpus, cpu_set_t *set)
{
	CPU_ZERO(set);
	for (;;) {
		unsigned first;
		unsigned last;
		if (read_cpu(&cpus, &first))
			return ERR_INVALID;
		last = first;
		if (*cpus == '-') {
			cpus++;
			if (read_cpu(&cpus, &last) || last < first)
				return ERR_INVALID;
		}
		for (unsigned cpu = first; cpu <= last; cpu++)
			CPU_SET(cpu, set);
		if (*cpus == '\0')
			return 0;
		if (*cpus++ != ',')
			return ERR_INVALID;
	}
}

/* The container's id is part of its processes' cgroup path, as the host sees it. */
static bool is_of_container(int pid, const char *id)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/cgroup", pid);
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	if (!file)
		return false;
	char line[LINE_MAX_BYTES];
	while (fgets(line, sizeof(line), file)) {
		if (strstr(line, id))
			return true;
	}
	return false;
}

static int pin_process(int pid, const cpu_set_t *set, int depth);

static int pin_children(int pid, int thread, const cpu_set_t *set, int depth)
{
	char path[96];
	(void)snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, thread);
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	int child;
	int error = 0;
	while (file && error == 0 && fscanf(file, "%d", &child) == 1)
		error = pin_process(child, set, depth + 1);
	return error;
}

/* Each thread first, then what it has started: a child that comes in between has inherited it. */
static int pin_process(int pid, const cpu_set_t *set, int depth)
{
	char path[64];
	(void)snprintf(path, sizeof(path), "/proc/%d/task", pid);
	DIR *threads = depth < DEPTH_MAX ? opendir(path) : NULL;
	if (!threads)
		return 0; /* over already */
	int error = 0;
	const struct dirent *entry;
	while (error == 0 && (entry = readdir(threads))) {
		int thread = atoi(entry->d_name);
		if (thread <= 0)
			continue;
		if (sched_setaffinity(thread, sizeof(*set), set) && errno != ESRCH)
			error = errno;
		else
			error = pin_children(pid, thread, set, depth);
	}
	(void)closedir(threads);
	return error;
}

int cpu_pin_container(int pid, const char *id, const char *cpus, struct err *err)
{
	cpu_set_t set;
	if (cpu_list_parse(cpus, &set))
		return err_set(err, ERR_INVALID, "\"%s\" is not a list of CPUs", cpus);
	if (!is_of_container(pid, id))
		return err_set(err, ERR_DENIED,
			       "the engine has no cpusets, and its containers' processes cannot be recognised on this "
			       "machine: delegate the cpuset controller to the engine");
	int error = pin_process(pid, &set, 0);
	if (error == EPERM)
		return err_set(err, ERR_DENIED,
			       "the engine has no cpusets, and gridnode may not set the affinity of its processes: run "
			       "gridnode as root, give it CAP_SYS_NICE, or delegate the cpuset controller to the engine");
	if (error)
		return err_from_errno(err, error, "the affinity to CPUs %s cannot be set", cpus);
	return 0;
}

#else /* the engine's containers run in a virtual machine */

int cpu_pin_container(int pid, const char *id, const char *cpus, struct err *err)
{
	(void)pid;
	(void)id;
	(void)cpus;
	return err_set(err, ERR_DENIED, "the engine has no cpusets, and this system cannot pin its processes");
}

#endif
