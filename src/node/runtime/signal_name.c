/* Owns the reading of signals' names. Called for the engine's events and an image's stop signal. Never asks the system:
 * the engine's Linux may be another one than ours. */
#include "node/runtime/signal_name.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum { SIGNAL_MAX = 64 };

/* Those that are sent to end a program, or that images name as their stop signal. */
static const struct {
	const char *name;
	int number;
} NAMES[] = {
	{"HUP", 1}, {"INT", 2}, {"QUIT", 3}, {"ABRT", 6}, {"KILL", 9}, {"USR1", 10}, {"USR2", 12}, {"TERM", 15}, {"WINCH", 28},
	{"PWR", 30}, {"RTMIN+3", 37},
};

int signal_number(const char *text)
{
	char *end;
	long number = strtol(text, &end, 10);
	if (end != text)
		return *end == '\0' && number > 0 && number <= SIGNAL_MAX ? (int)number : 0;
	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (strcasecmp(text, NAMES[i].name) == 0)
			return NAMES[i].number;
	}
	return 0;
}
