/* The start of a command: found in PATH, in a process group of its own, with three descriptors and nothing else of ours. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <sys/types.h>

/* Where a command may be. Kept from one start to the next, for it is mostly the same one. */
struct command_paths {
	struct buf text;         /* the name, then the candidates, a NUL behind each */
	const char **candidates; /* NULL at its end */
	size_t count;
	size_t found;            /* the one that was taken last; it is tried first */
};

void command_paths_init(struct command_paths *paths);
void command_paths_done(struct command_paths *paths);

struct spawn {
	char *const *argv;        /* argv[0] with a slash in it is a path; else it is looked for in our PATH */
	char *const *environment;
	int input, output, errors; /* become 0, 1 and 2; none of them is one of these already */
};

/* 0, or an errno value: what kept the command from running. Never a shell, also not for a script without "#!". */
int spawn_command(const struct spawn *spawn, struct command_paths *paths, pid_t *pid) MUST_CHECK;
