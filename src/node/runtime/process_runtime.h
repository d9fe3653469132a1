/* The runtime for machines without a container engine: a task's command as a plain process, as another user, on its CPUs, with
 * limits, and without any further isolation. */
#pragma once

#include "node/runtime/runtime.h"

extern const struct runtime_ops process_runtime;
