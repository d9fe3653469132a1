/* What stands in the state directory about one process worker, so that a later run of the agent can clear up after this one:
 * a small file per worker, written before anything of the worker exists. */
#pragma once

#include "base/err.h"
#include "base/process_table.h"

#include <stdint.h>

enum { PROCESS_DIRECTORY_MAX = 448, PROCESS_PATH_MAX = 512 };

struct process_record {
	char directory[PROCESS_PATH_MAX]; /* its own, to be removed */
	char cgroup[PROCESS_PATH_MAX];    /* likewise; "" without one */
	int group;                        /* of its processes; 0: none was started, or nobody could note it */
	uint64_t start;                   /* of that group's leader */
	char boot[BOOT_ID_SIZE];          /* in which start of the machine */
};

/* Directory and cgroup, in a new file. */
int process_record_begin(const char *path, const struct process_record *record, struct err *err) MUST_CHECK;

/* Adds group, start and boot. Not before the file holds them may the worker do anything. */
int process_record_add_group(const char *path, const struct process_record *record, struct err *err) MUST_CHECK;

/* A line that is cut short counts as not there. ERR_INVALID for a file that is no record. */
int process_record_read(const char *path, struct process_record *record, struct err *err) MUST_CHECK;
