/* A client of one Redis on the loop: commands pipelined over one connection, which is made anew for as long as the client
 * lives. A blocking command (BLMOVE) holds up all behind it: give it a client of its own. */
#pragma once

#include "base/err.h"
#include "net/resp.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct redis_client;
struct redis_script;
struct tls_context;

/* Exactly one of these:
 *   err NULL                    reply is the answer, valid until this returns
 *   err set, reply NULL         nothing was answered: ERR_UNREACHABLE (the connection was lost, or Redis is loading: it may
 *                               or may not have been executed; the caller decides whether to repeat), ERR_TIMEOUT (the
 *                               same), ERR_CANCELLED (the client was closed)
 *   err set, reply RESP_ERROR   Redis refused; err holds the meaning and none of Redis' text but the first word:
 *                               ERR_DENIED (NOAUTH, WRONGPASS, NOPERM), ERR_INVALID (a Redis Cluster's redirection, a wrong
 *                               type, any other), ERR_STATE (READONLY, BUSY, MISCONF, …), ERR_NO_SPACE (OOM),
 *                               ERR_NOT_FOUND (NOSCRIPT) */
typedef void redis_on_reply(void *context, const struct resp_value *reply, const struct err *err);

struct redis_client_options {
	const char *url;             /* redis:// or rediss://, as url_check_redis takes it. Copied, never shown unmasked */
	const char *unix_socket;     /* a path instead of the URL's host; only from the configuration, never from tasks */
	bool allow_unix_url;         /* url may be unix:///path: for one from the configuration, never for a task's */
	struct tls_context *tls;     /* for rediss://: the authorities; NULL: the system's. The client keeps a reference */
	bool allow_link_local;       /* see stream.h */
	size_t max_commands;         /* outstanding; 0: 16384 */
	size_t max_bytes;            /* of outstanding commands; 0: 64 MiB */
	size_t max_reply;            /* bytes of one reply; 0: 256 MiB */
	int64_t connect_timeout_ms;  /* of connection and greeting together; 0: 10 s */
	int64_t backoff_base_ms;     /* between attempts; 0: 100 */
	int64_t backoff_max_ms;      /* 0: 5000 */

	/* None is ever called from inside a function of this header, except that redis_client_close ends what is
	 * outstanding. In each of them every function is allowed. */
	void *context;
	void (*on_up)(void *context);
	/* The connection was lost (all its commands were told before), or a first attempt failed; of a row of failures only
	 * those that say something new. It goes on trying. reason: ERR_UNREACHABLE, ERR_TIMEOUT, ERR_DENIED, ERR_PROTOCOL. */
	void (*on_down)(void *context, const struct err *reason);
};

/* Begins to connect at once. NULL with err set on a bad URL, or without memory. */
struct redis_client *redis_client_new(uv_loop_t *loop, const struct redis_client_options *options, struct err *err);

/* Every outstanding command is told ERR_CANCELLED before this returns; no other callback comes any more. The memory goes at
 * the end of the turn. NULL is ignored. */
void redis_client_close(struct redis_client *client);

bool redis_client_is_up(const struct redis_client *client);

/* "redis://:***@host:6379/0": for messages. */
const char *redis_client_name(const struct redis_client *client);

/* Commands outstanding. */
size_t redis_client_outstanding(const struct redis_client *client);

/* One command; what it needs is copied. lens NULL: strlen of each. timeout_ms 0: none, for blocking ones; a command that is not
 * answered in time takes the connection down, since all behind it wait for the same.
 *
 * 0: on_reply comes exactly once, later (NULL if nobody cares). Else it never comes: ERR_UNREACHABLE while down,
 * ERR_TOO_BIG over a cap, ERR_NOMEM. Answers come in the order of the commands. */
int redis_client_command(struct redis_client *client, size_t argc, const char *const *argv, const size_t *lens,
			 int64_t timeout_ms, redis_on_reply *on_reply, void *context, struct err *err) MUST_CHECK;

/* The same for a script; args are the keys, then the rest. script must outlive the client.
 *
 * The first use on a connection sends the whole text (EVAL), the others its SHA (EVALSHA): all in the order of the calls,
 * and nobody waits for a load. Should Redis have forgotten the script meanwhile (SCRIPT FLUSH), it says NOSCRIPT, which means
 * that nothing of this call was executed: it is repeated once with its text, so still runs at most once. It then runs after
 * what was sent behind it: whoever needs an order between two calls starts the second from the first's answer. */
int redis_client_eval(struct redis_client *client, const struct redis_script *script, size_t key_count, size_t argc,
		      const char *const *argv, const size_t *lens, int64_t timeout_ms, redis_on_reply *on_reply,
		      void *context, struct err *err) MUST_CHECK;

/* on_reply is not called any more for what was started with this context; it is executed all the same. */
void redis_client_forget(struct redis_client *client, const void *context);
