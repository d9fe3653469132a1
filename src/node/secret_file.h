/* The node's secret, which proves to the hub who it is: one file per node id in the state directory, for its owner alone. */
#pragma once

#include "base/err.h"

#include <stddef.h>

/* Reads it into `secret`, which is "" where there is none (no error). */
int secret_file_read(const char *state_directory, const char *node_id, char *secret, size_t size, struct err *err) MUST_CHECK;

/* Keeps it across restarts and power cuts; makes the directory. */
int secret_file_write(const char *state_directory, const char *node_id, const char *secret, struct err *err) MUST_CHECK;

/* It is worth nothing any more. */
void secret_file_remove(const char *state_directory, const char *node_id);
