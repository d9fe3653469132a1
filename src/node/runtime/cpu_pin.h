/* CPU affinity of a container's processes, for engines that cannot pin containers themselves. */
#pragma once

#include "base/err.h"

/* Lets the process `pid` of the engine's container `id`, and all that it has started so far, run on `cpus` ("0" or
 * "2,3" or "0-3") alone; what they start later inherits it. ERR_DENIED names what is missing. */
int cpu_pin_container(int pid, const char *id, const char *cpus, struct err *err) MUST_CHECK;

#ifdef __linux__
#include <sched.h>

/* The kernel's list form into a set. ERR_INVALID. */
int cpu_list_parse(const char *cpus, cpu_set_t *set) MUST_CHECK;
#endif
