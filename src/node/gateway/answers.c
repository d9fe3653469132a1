/* Owns the writing of replies. Called by whatever carries out commands; a reply that cannot be written (no memory, a peer that
 * does not read) ends the connection, since the next one would be taken for it. */
#include "node/gateway/parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { ERROR_MAX = 512, NAME_SHOWN = 32 };

static void check(struct gateway_session *session, int rc)
{
	if (rc)
		session_close(session);
}

void answer_status(struct gateway_session *session, struct buf *reply, const char *text)
{
	check(session, resp_add_status(reply, text));
}

void answer_error(struct gateway_session *session, struct buf *reply, const char *format, ...)
{
	char text[ERROR_MAX];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	check(session, resp_add_error(reply, text));
}

void answer_integer(struct gateway_session *session, struct buf *reply, int64_t integer)
{
	check(session, resp_add_integer(reply, integer));
}

void answer_bulk(struct gateway_session *session, struct buf *reply, const char *bytes, size_t len)
{
	check(session, resp_add_bulk(reply, bytes, len));
}

void answer_nil(struct gateway_session *session, struct buf *reply)
{
	check(session, resp_add_nil(reply));
}

void answer_array(struct gateway_session *session, struct buf *reply, size_t count)
{
	check(session, resp_add_array(reply, count));
}

/* The command's name is the worker's own: shown, but only what can be. */
void answer_unsupported(struct gateway_session *session, struct buf *reply, const struct resp_value *message,
			const char *why)
{
	char name[NAME_SHOWN + 1];
	const struct resp_value *word = &message->elements[0];
	size_t len = word->len < NAME_SHOWN ? word->len : NAME_SHOWN;
	for (size_t i = 0; i < len; i++)
		name[i] = word->text[i] > ' ' && word->text[i] < 127 && word->text[i] != '\'' ? word->text[i] : '?';
	name[len] = '\0';
	answer_error(session, reply,
		     "ERR '%s' is not served by this gateway: %s. A task with \"delivery\": \"direct\" talks to Redis itself",
		     name, why);
}
