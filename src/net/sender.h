/* Bytes on their way into a socket: what waits, and what libuv is just writing. Of stream.c alone. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

struct sender {
	struct buf waiting;
	struct buf sending; /* being written, from `sent` on */
	size_t sent;
	uv_write_t request; /* while `sending` is not empty */
	void *context;
	void (*on_sent)(void *context, int status); /* what did not leave at once has left; or a libuv error */
};

void sender_init(struct sender *sender, void *context, void (*on_sent)(void *context, int status));

/* Not while libuv writes: only after its socket is closed. */
void sender_done(struct sender *sender);

/* Bytes that have not left. */
size_t sender_len(const struct sender *sender);

/* Hands everything that waits to the kernel, in one call: at once what it takes, the rest when it can (on_sent). Nothing to
 * do while a write is on its way. Returns 0 or a libuv error. */
int sender_flush(struct sender *sender, uv_stream_t *socket);

/* Empties a buffer, and gives its memory back if it grew large. */
void sender_empty(struct buf *buf);
