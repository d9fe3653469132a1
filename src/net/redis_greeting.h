/* What a client says to Redis first, and what the answers mean: of redis_client.c alone. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "base/url.h"
#include "net/resp.h"

#include <stdbool.h>

struct redis_greeting {
	unsigned waits; /* for these answers, bits in the order of sending; 0: greeted */
};

/* AUTH and SELECT as the URL wants, and a PING: it tells whether Redis is able to serve, since it may be loading, or want a
 * password of which the URL knows nothing. Wipe the buffer: it may hold the password. */
int redis_greeting_write(struct redis_greeting *greeting, const struct redis_url *url, struct buf *out) MUST_CHECK;

/* The next answer; an error if Redis is of no use to this URL. */
int redis_greeting_answer(struct redis_greeting *greeting, const struct redis_url *url, const struct resp_value *reply,
			  struct err *err) MUST_CHECK;
