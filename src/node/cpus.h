/* The CPUs that this process may use, and which of them a slot gets. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { CPUS_MAX = 4096, CPUS_LIST_SIZE = CPUS_MAX * sizeof("4095") };

struct cpus {
	int ids[CPUS_MAX]; /* the kernel's numbers, ascending */
	size_t count;      /* at least 1 */
};

/* The affinity that the agent was started with. */
int cpus_of_this_process(struct cpus *cpus, struct err *err) MUST_CHECK;

/* The CPUs of a slot in the kernel's list form: "3" or "4,5". Slots get consecutive CPUs of the affinity, round-robin: no
 * two share one as long as slots × per_slot fits. per_slot beyond the affinity gives all of it. Returns how many the list
 * names; ERR_TOO_BIG where the list does not fit. */
int cpus_of_slot(const struct cpus *cpus, size_t slot, size_t per_slot, char *list, size_t size) MUST_CHECK;

/* Whether no two slots share a CPU. */
bool cpus_are_exclusive(const struct cpus *cpus, size_t slots, size_t per_slot);
