/* The end of what a container wrote, as the engine hands logs out: frames of stdout and stderr in, the last bytes of
 * their text out. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>
#include <stdint.h>

struct log_tail {
	struct buf text;  /* up to twice `max` bytes, of which the last `max` count */
	size_t max;
	bool raw;         /* a container with a terminal sends bytes without frames */
	unsigned char header[8];
	size_t header_len; /* bytes of the next header that are there */
	uint32_t left;     /* bytes of the current frame that are still to come */
};

void log_tail_init(struct log_tail *tail, size_t max, bool raw);
void log_tail_done(struct log_tail *tail);

/* ERR_PROTOCOL where a frame's header is none; what came before it stays. */
int log_tail_feed(struct log_tail *tail, const char *bytes, size_t len) MUST_CHECK;

/* The text so far, at most `max` bytes, from the start of a line where something had to be cut. It is valid UTF-8
 * without control characters other than newline and tab ('?' stands for what is not). Owned by the tail. */
const char *log_tail_text(struct log_tail *tail);
