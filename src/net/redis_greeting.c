/* Owns the first words on a connection to Redis. Called by the Redis client; never sends, never shows what it was given. */
#include "net/redis_greeting.h"

#include "net/redis_error.h"

#include <assert.h>
#include <stdio.h>

enum greeting { GREET_AUTH = 1, GREET_SELECT = 2, GREET_PING = 4 };

static int write_auth(struct redis_greeting *greeting, const struct redis_url *url, struct buf *out)
{
	if (!url->password)
		return 0;
	greeting->waits |= GREET_AUTH;
	if (url->user)
		return resp_add_command(out, 3, (const char *[]){"AUTH", url->user, url->password}, NULL);
	return resp_add_command(out, 2, (const char *[]){"AUTH", url->password}, NULL);
}

static int write_select(struct redis_greeting *greeting, const struct redis_url *url, struct buf *out)
{
	if (!url->database)
		return 0;
	char database[16];
	(void)snprintf(database, sizeof(database), "%u", url->database);
	greeting->waits |= GREET_SELECT;
	return resp_add_command(out, 2, (const char *[]){"SELECT", database}, NULL);
}

int redis_greeting_write(struct redis_greeting *greeting, const struct redis_url *url, struct buf *out)
{
	*greeting = (struct redis_greeting){.waits = GREET_PING};
	int rc = write_auth(greeting, url, out);
	if (!rc)
		rc = write_select(greeting, url, out);
	return rc ? rc : resp_add_command(out, 1, (const char *[]){"PING"}, NULL);
}

int redis_greeting_answer(struct redis_greeting *greeting, const struct redis_url *url, const struct resp_value *reply,
			  struct err *err)
{
	assert(greeting->waits);
	unsigned step = greeting->waits & -greeting->waits; /* the lowest bit: the oldest */
	greeting->waits &= ~step;
	bool may_not_ping = step == GREET_PING && redis_error_is(reply, "NOPERM"); /* but is known, and served */
	if (reply->type != RESP_ERROR || may_not_ping)
		return 0;
	(void)redis_error_explain(reply, err);
	if (err->code == ERR_INVALID && step == GREET_AUTH)
		(void)err_set(err, ERR_DENIED, "Redis refused the user or the password of the URL, or has none set");
	else if (err->code == ERR_INVALID && step == GREET_SELECT)
		(void)err_set(err, ERR_INVALID, "Redis has no database %u", url->database);
	return (int)err->code;
}
