/* One agent per id on a machine: two would remove each other's containers. */
#pragma once

#include "base/err.h"

/* Takes the id until the descriptor is closed or the process ends. Returns the descriptor, or ERR_EXISTS where another agent
 * on this machine has it. */
int id_lock_take(const char *node_id, struct err *err) MUST_CHECK;
