/* The commands that a Redis has not answered yet, in their order: of redis_client.c alone. */
#pragma once

#include "base/err.h"
#include "net/redis_client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct redis_call {
	redis_on_reply *on_reply;          /* NULL: nobody cares */
	void *context;
	int64_t deadline_ms;               /* of uv_now; INT64_MAX: none */
	size_t bytes;                      /* that it counts for */
	const struct redis_script *script; /* sent as EVALSHA: may have to be repeated; else NULL */
	char *tail;                        /* then what follows the script's name, and */
	size_t tail_len;
	size_t argc;                       /* how many words that is */
};

/* A ring that grows up to max. */
struct redis_calls {
	struct redis_call *ring;
	size_t capacity;
	size_t first;
	size_t count;
	size_t max;
	size_t bytes; /* of all of them */
};

void redis_calls_done(struct redis_calls *calls);

/* Takes the tail over on success. ERR_TOO_BIG, ERR_NOMEM. */
int redis_calls_push(struct redis_calls *calls, const struct redis_call *call) MUST_CHECK;

/* The oldest; false if there is none. The tail is the caller's. */
bool redis_calls_shift(struct redis_calls *calls, struct redis_call *call);

/* Takes the newest back, which was not sent; its tail is freed. */
void redis_calls_unpush(struct redis_calls *calls);

struct redis_call *redis_calls_at(const struct redis_calls *calls, size_t index);
