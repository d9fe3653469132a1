/* Owns the table of commands that the gateway serves besides the writes (proto/write_commands.c has those). Called by
 * sessions, one whole command at a time; the rules about items live in slot.c.
 *
 * A row's arity counts the command's own name; max 0: any. To add a command, add a row, and a line to docs/architecture.md. */
#include "node/gateway/parts.h"

#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

enum command_flags {
	CMD_STRANGER = 1, /* also before AUTH */
	CMD_AT_ONCE = 2,  /* is not queued by MULTI */
	CMD_POP = 4,      /* takes from the input queue, or asks it */
};

struct gateway_command {
	const char *name;
	size_t min, max;
	unsigned flags;
	void (*run)(struct gateway_session *session, const struct resp_value *message, struct buf *reply);
};

static const char WHY_UNKNOWN[] = "a leased task's worker pops from the input queue and writes to the output queue";

/* ---- who speaks ---- */

static const char WRONG[] = "WRONGPASS this is not the password of this start of a worker: use INPUT_REDIS_URL as it is";
static const char SPENT[] = "WRONGPASS this password has been used: in tasks with \"exec\" it is good for one connection, gridexec's";
static const char TOO_MANY[] = "ERR max number of clients reached: a slot's worker has so many connections already";

/* NULL: it is in; else why not. */
static const char *enter(struct gateway_session *session, const struct resp_value *password)
{
	struct gateway_slot *slot = gateway_find_slot(session->gateway, session, password->text, password->len);
	if (!slot || (session->slot && session->slot != slot))
		return WRONG;
	if (session->slot)
		return NULL;
	if (slot->exec && slot->entered)
		return SPENT;
	if (slot->session_count >= CONNECTIONS_MAX)
		return TOO_MANY;
	slot->entered = true;
	slot->session_count++;
	session_unlink(&session->gateway->strangers, session);
	session->gateway->stranger_count--;
	session->slot = slot;
	session_link(&slot->sessions, session);
	return NULL;
}

static bool is_default_user(const struct resp_value *user)
{
	return user->len == 0 || resp_is(user, "default");
}

static void run_auth(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct resp_value *args = message->elements;
	bool known = message->count == 2 || is_default_user(&args[1]);
	const char *refusal = known ? enter(session, &args[message->count - 1]) : WRONG;
	if (refusal)
		answer_error(session, reply, "%s", refusal);
	else
		answer_status(session, reply, "OK");
}

static void answer_field(struct gateway_session *session, struct buf *reply, const char *name, const char *value)
{
	answer_bulk(session, reply, name, strlen(name));
	answer_bulk(session, reply, value, strlen(value));
}

static void answer_hello(struct gateway_session *session, struct buf *reply)
{
	answer_array(session, reply, 14);
	answer_field(session, reply, "server", "redis");
	answer_field(session, reply, "version", "7.0.0");
	answer_bulk(session, reply, "proto", strlen("proto"));
	answer_integer(session, reply, 2);
	answer_bulk(session, reply, "id", strlen("id"));
	answer_integer(session, reply, session->fd);
	answer_field(session, reply, "mode", "standalone");
	answer_field(session, reply, "role", "master");
	answer_bulk(session, reply, "modules", strlen("modules"));
	answer_array(session, reply, 0);
}

/* HELLO [version [AUTH user password] [SETNAME name]]: whatever version is asked for, 2 is spoken. */
static void run_hello(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct resp_value *args = message->elements;
	if (message->count > 1 && !resp_is(&args[1], "2") && !resp_is(&args[1], "3")) {
		answer_error(session, reply, "NOPROTO unsupported protocol version");
		return;
	}
	for (size_t i = 2; i < message->count;) {
		size_t left = message->count - i;
		if (left >= 3 && resp_is_nocase(&args[i], "AUTH")) {
			const char *refusal = is_default_user(&args[i + 1]) ? enter(session, &args[i + 2]) : WRONG;
			if (refusal) {
				answer_error(session, reply, "%s", refusal);
				return;
			}
			i += 3;
		} else if (left >= 2 && resp_is_nocase(&args[i], "SETNAME")) {
			i += 2;
		} else {
			answer_error(session, reply, "ERR syntax error in HELLO");
			return;
		}
	}
	if (session->slot)
		answer_hello(session, reply);
	else
		answer_error(session, reply, "NOAUTH HELLO must come with AUTH: use INPUT_REDIS_URL as it is");
}

/* ---- small talk ---- */

static void run_ok(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	answer_status(session, reply, "OK");
}

static void run_ping(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	if (message->count > 1)
		answer_bulk(session, reply, message->elements[1].text, message->elements[1].len);
	else
		answer_status(session, reply, "PONG");
}

static void run_echo(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	answer_bulk(session, reply, message->elements[1].text, message->elements[1].len);
}

static void run_info(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	answer_bulk(session, reply, "", 0);
}

static void run_command(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	if (message->count > 1 && resp_is_nocase(&message->elements[1], "COUNT"))
		answer_integer(session, reply, 0);
	else
		answer_array(session, reply, 0);
}

static void run_client(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct resp_value *what = &message->elements[1];
	if (resp_is_nocase(what, "ID"))
		answer_integer(session, reply, session->fd);
	else if (resp_is_nocase(what, "GETNAME"))
		answer_nil(session, reply);
	else if (resp_is_nocase(what, "INFO") || resp_is_nocase(what, "LIST"))
		answer_bulk(session, reply, "", 0);
	else if (resp_is_nocase(what, "REPLY") && (message->count != 3 || !resp_is_nocase(&message->elements[2], "ON")))
		answer_unsupported(session, reply, message, "every command is answered");
	else
		answer_status(session, reply, "OK");
}

static void run_quit(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	answer_status(session, reply, "OK");
	session->quitting = true;
}

static void run_reset(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	transaction_discard(session);
	answer_status(session, reply, "RESET");
}

/* ---- transactions ---- */

static void run_multi(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	transaction_begin(session, reply);
}

static void run_exec(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	transaction_exec(session, reply);
}

static void run_discard(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	(void)message;
	if (session->in_multi)
		answer_status(session, reply, "OK");
	else
		answer_error(session, reply, "ERR DISCARD without MULTI");
	transaction_discard(session);
}

/* ---- questions ---- */

static bool is_input(const struct gateway_slot *slot, const struct resp_value *key)
{
	return key->len == slot->input_len && memcmp(key->text, slot->input_queue, key->len) == 0;
}

static bool exists(const struct gateway_slot *slot, const struct resp_value *key)
{
	if (is_input(slot, key))
		return item_pool_count(slot->options.pool) > 0;
	return private_list_find(slot, key->text, key->len) != NULL;
}

static void run_exists(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	int64_t count = 0;
	for (size_t i = 1; i < message->count; i++)
		count += exists(session->slot, &message->elements[i]);
	answer_integer(session, reply, count);
}

static void run_type(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	answer_status(session, reply, exists(session->slot, &message->elements[1]) ? "list" : "none");
}

static void run_llen(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	struct gateway_slot *slot = session->slot;
	const struct resp_value *key = &message->elements[1];
	const struct private_list *list = private_list_find(slot, key->text, key->len);
	const struct write_arg as_write[] = {{"LPUSH", 5}, {key->text, key->len}, {"", 0}};
	if (is_input(slot, key) && session->in_exec) {
		int64_t count = item_pool_count(slot->options.pool);
		answer_integer(session, reply, count > 0 ? count : 0);
	} else if (is_input(slot, key)) {
		struct pop_request request = {.form = POP_LLEN};
		pop_begin(session, &request);
	} else if (!list && write_command_check(as_write, 3, &slot->targets, NULL) == 0) {
		answer_unsupported(session, reply, message, "only the hub knows the output queue");
	} else {
		answer_integer(session, reply, list ? (int64_t)list->count : 0);
	}
}

/* ---- pops and moves ---- */

static void run_pop(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	struct pop_request request;
	struct err err = {0};
	if (pop_parse(session->slot, message, &request, &err))
		answer_error(session, reply, "%s", err.text);
	else
		pop_begin(session, &request);
}

static bool is_left(const struct resp_value *value)
{
	return resp_is_nocase(value, "LEFT");
}

/* LMOVE BLMOVE RPOPLPUSH BRPOPLPUSH: out of the input queue it is a pop, out of a private list a move. */
static void run_move(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	const struct resp_value *args = message->elements;
	struct private_list *list = private_list_find(session->slot, args[1].text, args[1].len);
	bool sides = resp_is_nocase(&args[0], "LMOVE") || resp_is_nocase(&args[0], "BLMOVE");
	if (is_input(session->slot, &args[1]) || (!list && (args[0].text[0] & ~0x20) == 'B'))
		run_pop(session, message, reply);
	else if (!list)
		answer_nil(session, reply);
	else
		private_list_move(session, list, &args[2], sides && is_left(&args[3]), !sides || is_left(&args[4]), reply);
}

static void run_lrem(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	private_list_lrem(session, message, reply);
}

static void run_lrange(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	private_list_lrange(session, message, reply);
}

static void run_del(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	private_list_del(session, message, reply);
}

/* ---- the table ---- */

static const struct gateway_command COMMANDS[] = {
	{"BRPOP", 3, 0, CMD_POP, run_pop},
	{"RPOP", 2, 3, CMD_POP, run_pop},
	{"BLPOP", 3, 0, CMD_POP, run_pop},
	{"LPOP", 2, 3, CMD_POP, run_pop},
	{"LMPOP", 4, 0, CMD_POP, run_pop},
	{"BLMPOP", 5, 0, CMD_POP, run_pop},
	{"LLEN", 2, 2, CMD_POP, run_llen},
	{"LMOVE", 5, 5, CMD_POP, run_move},
	{"BLMOVE", 6, 6, CMD_POP, run_move},
	{"RPOPLPUSH", 3, 3, CMD_POP, run_move},
	{"BRPOPLPUSH", 4, 4, CMD_POP, run_move},
	{"IDM", 2, 0, CMD_POP | CMD_AT_ONCE, exec_run},
	{"LREM", 4, 4, 0, run_lrem},
	{"LRANGE", 4, 4, 0, run_lrange},
	{"DEL", 2, 0, 0, run_del},
	{"UNLINK", 2, 0, 0, run_del},
	{"MULTI", 1, 1, CMD_AT_ONCE, run_multi},
	{"EXEC", 1, 1, CMD_AT_ONCE, run_exec},
	{"DISCARD", 1, 1, CMD_AT_ONCE, run_discard},
	{"WATCH", 2, 0, CMD_AT_ONCE, run_ok},
	{"UNWATCH", 1, 1, 0, run_ok},
	{"PING", 1, 2, 0, run_ping},
	{"ECHO", 2, 2, 0, run_echo},
	{"EXISTS", 2, 0, 0, run_exists},
	{"TYPE", 2, 2, 0, run_type},
	{"SELECT", 2, 2, 0, run_ok},
	{"CLIENT", 2, 0, CMD_STRANGER, run_client},
	{"INFO", 1, 0, 0, run_info},
	{"COMMAND", 1, 0, 0, run_command},
	{"AUTH", 2, 3, CMD_STRANGER | CMD_AT_ONCE, run_auth},
	{"HELLO", 1, 0, CMD_STRANGER | CMD_AT_ONCE, run_hello},
	{"QUIT", 1, 0, CMD_STRANGER | CMD_AT_ONCE, run_quit},
	{"RESET", 1, 1, CMD_STRANGER | CMD_AT_ONCE, run_reset},
};

static const struct gateway_command *find(const struct resp_value *name)
{
	for (size_t i = 0; i < sizeof(COMMANDS) / sizeof(COMMANDS[0]); i++) {
		/* The first letter tells most of them apart. */
		if ((COMMANDS[i].name[0] ^ name->text[0]) & ~0x20)
			continue;
		if (resp_is_nocase(name, COMMANDS[i].name))
			return &COMMANDS[i];
	}
	return NULL;
}

bool pop_is(const struct resp_value *message)
{
	const struct gateway_command *command = find(&message->elements[0]);
	return command && (command->flags & CMD_POP) && command->run != run_llen;
}

bool command_waits(const struct gateway_session *session, const struct resp_value *message)
{
	if (session->pop.state == POP_NONE)
		return false;
	if (session->in_multi)
		return session->queued_pops > 0 && resp_is_nocase(&message->elements[0], "EXEC");
	const struct gateway_command *command = find(&message->elements[0]);
	return command && (command->flags & CMD_POP);
}

/* ---- writes ---- */

static void answer_entry_id(struct gateway_session *session, struct buf *reply)
{
	struct gateway_slot *slot = session->slot;
	uint64_t now = (uint64_t)clock_wall_ms();
	slot->stream_seq = now > slot->stream_ms ? 0 : slot->stream_seq + 1;
	slot->stream_ms = now > slot->stream_ms ? now : slot->stream_ms;
	char id[48];
	int len = snprintf(id, sizeof(id), "%llu-%llu", (unsigned long long)slot->stream_ms,
			   (unsigned long long)slot->stream_seq);
	answer_bulk(session, reply, id, (size_t)len);
}

static void answer_write(struct gateway_session *session, const struct write_command *command,
			 const struct resp_value *message, struct buf *reply)
{
	switch (command->reply) {
	case WRITE_REPLY_COUNT:
		answer_integer(session, reply, (int64_t)write_command_elements(command, message->count));
		break;
	case WRITE_REPLY_OK: answer_status(session, reply, "OK"); break;
	case WRITE_REPLY_LEN: answer_integer(session, reply, (int64_t)message->elements[message->count - 1].len); break;
	case WRITE_REPLY_ID: answer_entry_id(session, reply); break;
	}
}

static void run_write(struct gateway_session *session, const struct write_command *command,
		      const struct resp_value *message, struct buf *reply)
{
	enum { FEW = 8 };
	struct write_arg few[FEW];
	struct write_arg *args = message->count <= FEW ? few : malloc(message->count * sizeof(*args));
	struct err err = {0};
	if (!args) {
		answer_error(session, reply, "OOM out of memory");
		return;
	}
	for (size_t i = 0; i < message->count; i++)
		args[i] = (struct write_arg){message->elements[i].text, message->elements[i].len};
	if (write_command_check(args, message->count, &session->slot->targets, &err))
		answer_error(session, reply, "ERR %s. A task with \"delivery\": \"direct\" talks to Redis itself", err.text);
	else if (slot_write(session->slot, session, args, message->count, &err))
		answer_error(session, reply, "%s", err.text);
	else
		answer_write(session, command, message, reply);
	if (args != few)
		free(args);
}

/* ---- carrying out ---- */

static bool fits(const struct gateway_command *command, size_t count)
{
	return count >= command->min && (command->max == 0 || count <= command->max);
}

/* Whether there is such a command, with so many arguments; else the worker is told. */
static bool check(struct gateway_session *session, const struct gateway_command *command, const struct write_command *write,
		  const struct resp_value *message, struct buf *reply)
{
	if (!command && !write) {
		answer_unsupported(session, reply, message, WHY_UNKNOWN);
		return false;
	}
	if (command && !fits(command, message->count)) {
		answer_error(session, reply, "ERR wrong number of arguments for '%s' command", command->name);
		return false;
	}
	return true;
}

void command_run(struct gateway_session *session, const struct resp_value *message)
{
	struct buf *reply = session_reply(session);
	const struct resp_value *name = &message->elements[0];
	const struct write_command *write = write_command_find(name->text, name->len);
	const struct gateway_command *command = write ? NULL : find(name);
	if (!session->slot && !(command && (command->flags & CMD_STRANGER))) {
		answer_error(session, reply, "NOAUTH Authentication required: use INPUT_REDIS_URL as it is");
		return;
	}
	if (!check(session, command, write, message, reply)) {
		session->multi_aborted |= session->in_multi;
		return;
	}
	if (session->in_multi && !(command && (command->flags & CMD_AT_ONCE)))
		transaction_queue(session, message, reply);
	else if (write)
		run_write(session, write, message, reply);
	else
		command->run(session, message, reply);
}

void command_run_queued(struct gateway_session *session, const struct resp_value *message)
{
	struct buf *reply = session_reply(session);
	const struct resp_value *name = &message->elements[0];
	const struct write_command *write = write_command_find(name->text, name->len);
	if (write)
		run_write(session, write, message, reply);
	else
		find(name)->run(session, message, reply);
}
