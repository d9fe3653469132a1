/* Owns the rule about the place of state. Called at start-up; makes nothing. */
#include "base/state_directory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *below(const char *directory, const char *rest)
{
	size_t size = strlen(directory) + strlen(rest) + 1;
	char *path = malloc(size);
	if (path)
		(void)snprintf(path, size, "%s%s", directory, rest);
	return path;
}

char *state_directory(const char *configured)
{
	const char *from_systemd = getenv("STATE_DIRECTORY");
	const char *state_home = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	if (*configured)
		return strdup(configured);
	if (from_systemd && *from_systemd)
		return strdup(from_systemd);
	if (geteuid() == 0)
		return strdup("/var/lib/idm-gridcore");
	if (state_home && state_home[0] == '/')
		return below(state_home, "/idm-gridcore");
	return home && home[0] == '/' ? below(home, "/.local/state/idm-gridcore") : NULL;
}
