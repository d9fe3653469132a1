/* A whole system on this machine, for trying out: where `gridctl up` keeps it, and which one is the present one.
 *
 *   DIRECTORY/                   0700
 *     .gridctl-up                marks it as ours; locked while one gridctl changes something
 *     computehub.toml            the hub's configuration with its tokens, node-1.toml … those of the nodes, redis.conf
 *     redis.sock                 where Redis listens, and nothing else
 *     redis/ hub/ node-1/ …      what each of them keeps
 *     logs/                      what each of them says; of its run before in NAME.log.1
 *     run/                       who runs (local_process.h)
 *
 * ${XDG_STATE_HOME:-~/.local/state}/idm-gridcore/current is a link to the directory that was started last, as long as it is up:
 * by it every gridctl of this user finds hub and token. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

enum { LOCAL_PATH_MAX = 1024, LOCAL_NODES_MAX = 64 };

struct local_system {
	char directory[LOCAL_PATH_MAX]; /* absolute */
	int lock;                       /* held until local_system_close; -1: none */
};

/* The one that `given` names, else the present one, else the usual place; with `make` it is made where there is none. Waits a
 * moment for another gridctl that has it. ERR_NOT_FOUND (nobody ever started one there), ERR_STATE (another gridctl works on it),
 * ERR_DENIED (somebody else's, or a directory of something else). */
int local_system_open(struct local_system *system, const char *given, bool make, struct err *err) MUST_CHECK;
void local_system_close(struct local_system *system);

/* Lets others in, or (false) finds one there. For whoever stays and only watches. */
void local_system_unlock(struct local_system *system);
bool local_system_lock(struct local_system *system);

/* DIRECTORY/name. ERR_TOO_BIG. */
int local_system_path(const struct local_system *system, char path[LOCAL_PATH_MAX], struct err *err, const char *format, ...)
	__attribute__((format(printf, 4, 5))) MUST_CHECK;

/* Makes it the present one; or no longer, if it is. */
int local_system_set_current(const struct local_system *system, struct err *err) MUST_CHECK;
void local_system_unset_current(const struct local_system *system);

/* The directory of the present one; false where there is none. */
bool local_system_current(char directory[LOCAL_PATH_MAX]);

/* Removes what gridctl and its programs made there, and the directory itself if nothing else is in it. Nothing may run. */
int local_system_purge(struct local_system *system, struct err *err) MUST_CHECK;
