/* Owns the table of commands and the search in it. Called by main.c, and by what prints help, completions and man pages. A new
 * command is a struct in its own file, and here one line that declares it and one in the table. */
#include "ctl/commands.h"

#include <stdio.h>
#include <string.h>

extern const struct command COMMAND_RUN;
extern const struct command COMMAND_ATTACH;
extern const struct command COMMAND_SUBMIT;
extern const struct command COMMAND_PUSH;
extern const struct command COMMAND_RESULTS;
extern const struct command COMMAND_WATCH;
extern const struct command COMMAND_WAIT;
extern const struct command COMMAND_TASKS;
extern const struct command COMMAND_TASK;
extern const struct command COMMAND_NEXT;
extern const struct command COMMAND_FINISH;
extern const struct command COMMAND_CANCEL;
extern const struct command COMMAND_PAUSE;
extern const struct command COMMAND_RESUME;
extern const struct command COMMAND_NODES;
extern const struct command COMMAND_NODE_STOP;
extern const struct command COMMAND_NODE_DRAIN;
extern const struct command COMMAND_NODE_UNDRAIN;
extern const struct command COMMAND_LOGS;
extern const struct command COMMAND_DEAD_LIST;
extern const struct command COMMAND_DEAD_SHOW;
extern const struct command COMMAND_DEAD_RETRY;
extern const struct command COMMAND_DEAD_DROP;
extern const struct command COMMAND_UP;
extern const struct command COMMAND_DOWN;
extern const struct command COMMAND_JOIN;
extern const struct command COMMAND_CONFIG;
extern const struct command COMMAND_CONFIG_INIT;
extern const struct command COMMAND_COMPLETION;
extern const struct command COMMAND_COMPLETE_NAMES;
extern const struct command COMMAND_MAN;

const struct command *const COMMANDS[] = {
	&COMMAND_RUN,
	&COMMAND_ATTACH,
	&COMMAND_SUBMIT,
	&COMMAND_PUSH,
	&COMMAND_RESULTS,
	&COMMAND_WATCH,
	&COMMAND_WAIT,
	&COMMAND_TASKS,
	&COMMAND_TASK,
	&COMMAND_NEXT,
	&COMMAND_FINISH,
	&COMMAND_CANCEL,
	&COMMAND_PAUSE,
	&COMMAND_RESUME,
	&COMMAND_NODES,
	&COMMAND_NODE_STOP,
	&COMMAND_NODE_DRAIN,
	&COMMAND_NODE_UNDRAIN,
	&COMMAND_LOGS,
	&COMMAND_DEAD_LIST,
	&COMMAND_DEAD_SHOW,
	&COMMAND_DEAD_RETRY,
	&COMMAND_DEAD_DROP,
	&COMMAND_UP,
	&COMMAND_DOWN,
	&COMMAND_JOIN,
	&COMMAND_CONFIG,
	&COMMAND_CONFIG_INIT,
	&COMMAND_COMPLETION,
	&COMMAND_COMPLETE_NAMES,
	&COMMAND_MAN,
};

const size_t COMMAND_COUNT = sizeof(COMMANDS) / sizeof(COMMANDS[0]);

const char *command_group_title(enum command_group group)
{
	static const char *const TITLES[GROUP_COUNT] = {
		[GROUP_WORK] = "Work",
		[GROUP_TASKS] = "Tasks",
		[GROUP_NODES] = "Nodes",
		[GROUP_FAILURES] = "Failures",
		[GROUP_SETUP] = "Setting up",
	};
	return TITLES[group];
}

static const struct command *find_exactly(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(COMMANDS[i]->name, name) == 0)
			return COMMANDS[i];
	}
	return NULL;
}

static bool join_words(const char *first, const char *second, char *into, size_t size)
{
	int len = snprintf(into, size, "%s %s", first, second);
	return len > 0 && (size_t)len < size;
}

const struct command *commands_find(const char *const *words, size_t count, size_t *taken)
{
	char both[128];
	const struct command *command = NULL;
	*taken = 2;
	if (count >= 2 && join_words(words[0], words[1], both, sizeof(both)))
		command = find_exactly(both);
	if (command)
		return command;
	*taken = 1;
	return count >= 1 && !strchr(words[0], ' ') ? find_exactly(words[0]) : NULL;
}

bool commands_is_family(const char *word)
{
	size_t len = strlen(word);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (!COMMANDS[i]->hidden && strncmp(COMMANDS[i]->name, word, len) == 0 && COMMANDS[i]->name[len] == ' ')
			return true;
	}
	return false;
}

const char *commands_nearest(const char *const *words, size_t count)
{
	char both[128] = "";
	struct option_nearest nearest = {NULL, 0};
	if (count >= 2 && !join_words(words[0], words[1], both, sizeof(both)))
		both[0] = '\0';
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (COMMANDS[i]->hidden)
			continue;
		options_consider(&nearest, words[0], COMMANDS[i]->name);
		if (*both)
			options_consider(&nearest, both, COMMANDS[i]->name);
	}
	return nearest.name;
}
