/* The programs of a local system: started so that they outlive whoever started them, and known afterwards by number and start
 * time, so that nobody else is ever ended in their place. */
#pragma once

#include "base/err.h"
#include "ctl/local_system.h"

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>

enum { LOCAL_NAME_MAX = 32 };

struct local_start {
	const char *name;        /* "redis", "hub", "node-1" */
	const char *const *argv; /* the first is the program's path; ends with NULL */
	const cpu_set_t *cpus;   /* NULL: all that gridctl has */
	bool attached;           /* keeps gridctl's standard error, in the place of a log of its own */
};

/* The process is recorded before it becomes the program: whatever dies meanwhile, none runs that is not known. ERR_NOT_FOUND and
 * others: it could not be executed. */
int local_process_start(const struct local_system *system, const struct local_start *start, struct err *err) MUST_CHECK;

/* Its number, or 0 where it does not run. */
int local_process_pid(const struct local_system *system, const char *name);

/* Sends a signal; false where it does not run. */
bool local_process_signal(const struct local_system *system, const char *name, int number);

/* Waits for its end; false when it still runs then. Its record is forgotten with it. */
bool local_process_wait(const struct local_system *system, const char *name, int timeout_ms);

/* Whether it was started and never ended by us: it runs, or it died. */
bool local_process_is_recorded(const struct local_system *system, const char *name);

/* The end of its log, for people: at most `size` - 1 bytes of whole lines. */
void local_process_log_tail(const struct local_system *system, const char *name, char *text, size_t size);
