/* Owns the table of writes. Called by the gateway for each command of a worker, and by the hub for each write of a commit;
 * never makes one. */
#include "proto/write_commands.h"

#include <string.h>
#include <strings.h>

enum { KEY = 1, FIRST_VALUE = 2 };

static const char OWN_KEYS[] = ":idm:"; /* the hub's */

static const struct write_command COMMANDS[] = {
	{"LPUSH", 3, 1, WRITE_REPLY_COUNT, true},
	{"RPUSH", 3, 1, WRITE_REPLY_COUNT, true},
	{"SADD", 3, 1, WRITE_REPLY_COUNT, false},
	{"HSET", 4, 2, WRITE_REPLY_COUNT, false},
	{"ZADD", 4, 2, WRITE_REPLY_COUNT, false},
	{"XADD", 5, 2, WRITE_REPLY_ID, false},
	{"SET", 3, 0, WRITE_REPLY_OK, false},
	{"APPEND", 3, 0, WRITE_REPLY_LEN, false},
};

const struct write_command *write_command_find(const char *name, size_t len)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		if (strlen(COMMANDS[i].name) == len && strncasecmp(COMMANDS[i].name, name, len) == 0)
			return &COMMANDS[i];
	}
	return NULL;
}

size_t write_command_elements(const struct write_command *command, size_t count)
{
	return command->step ? (count - command->min_args) / command->step + 1 : 1;
}

static bool equals(const struct write_arg *arg, const char *text)
{
	return text && strlen(text) == arg->len && memcmp(arg->bytes, text, arg->len) == 0;
}

/* The output queue itself, or a key that begins with its name and ':'. */
static bool is_output(const struct write_arg *key, const char *queue)
{
	size_t len = queue ? strlen(queue) : 0;
	if (len == 0 || key->len < len || memcmp(key->bytes, queue, len) != 0)
		return false;
	return key->len == len || key->bytes[len] == ':';
}

static bool is_own(const struct write_arg *key)
{
	return memmem(key->bytes, key->len, OWN_KEYS, sizeof(OWN_KEYS) - 1) != NULL;
}

static int check_count(const struct write_command *command, size_t count, struct err *err)
{
	bool fits = count >= command->min_args;
	if (fits && command->step == 0)
		fits = count == command->min_args;
	else if (fits)
		fits = (count - command->min_args) % command->step == 0;
	return fits ? 0 : err_set(err, ERR_INVALID, "%s: wrong number of arguments, or an option that is not supported", command->name);
}

int write_command_check(const struct write_arg *args, size_t count, const struct write_targets *targets, struct err *err)
{
	const struct write_command *command = count > 0 ? write_command_find(args[0].bytes, args[0].len) : NULL;
	if (!command)
		return err_set(err, ERR_INVALID, "a command that is not among the writes of a result");
	int rc = check_count(command, count, err);
	if (rc)
		return rc;
	const struct write_arg *key = &args[KEY];
	bool allowed = is_output(key, targets->output_queue) || (command->input_too && equals(key, targets->input_queue));
	if (!allowed || is_own(key))
		return err_set(err, ERR_INVALID,
			       "%s: its key is neither the task's output queue, nor begins with its name and ':'%s", command->name,
			       command->input_too ? ", nor is it the input queue" : "");
	if (command->reply == WRITE_REPLY_ID && !equals(&args[FIRST_VALUE], "*"))
		return err_set(err, ERR_INVALID, "%s: its id must be *", command->name);
	return 0;
}
