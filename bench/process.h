/* What the kernel knows of another process: memory and time on a CPU. */
#pragma once

#include "base/err.h"

#include <stdint.h>

struct process_memory {
	int64_t resident_bytes;
	int64_t private_dirty_bytes;
};

/* From /proc/PID/smaps_rollup. */
int process_memory_read(int pid, struct process_memory *memory, struct err *err) MUST_CHECK;

/* Nanoseconds that its threads have run, from /proc/PID/task/TID/schedstat; threads that have ended are not counted. */
int process_cpu_ns(int pid, int64_t *ns, struct err *err) MUST_CHECK;
