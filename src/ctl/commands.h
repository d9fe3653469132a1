/* The table of commands. */
#pragma once

#include "ctl/command.h"

/* In the order of the help. */
extern const struct command *const COMMANDS[];
extern const size_t COMMAND_COUNT;

/* The heading of a group in the help. */
const char *command_group_title(enum command_group group);

/* The command that the words name, and how many of them its name takes (1 or 2); NULL where there is none. */
const struct command *commands_find(const char *const *words, size_t count, size_t *taken);

/* Whether it is the first word of commands of two ("node"). */
bool commands_is_family(const char *word);

/* What was probably meant; NULL where nothing is near. */
const char *commands_nearest(const char *const *words, size_t count);
