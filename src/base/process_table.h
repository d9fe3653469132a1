/* The system's processes as /proc shows them: who leads a group, since when, and whether any of it still lives. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct process_stat {
	char state;     /* 'Z', 'X': over, though not yet waited for */
	int group;
	uint64_t start; /* in clock ticks since the machine's start */
};

/* The text of /proc/PID/stat. ERR_INVALID. */
int process_stat_parse(const char *text, struct process_stat *stat) MUST_CHECK;

/* ERR_NOT_FOUND where there is no such process. */
int process_stat_read(int pid, struct process_stat *stat) MUST_CHECK;

/* Whether a process of that group lives, and the group is the one whose leader began at `start`: not a later one with the
 * same number. */
bool process_group_lives(int group, uint64_t start);

enum { BOOT_ID_SIZE = 40 };

/* Which start of the machine this is: numbers of processes mean nothing in another one. "" where it cannot be known. */
void process_table_boot_id(char id[BOOT_ID_SIZE]);
