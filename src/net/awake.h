/* Keeps the loop awake for a moment after work, where the next work follows at once: going to sleep and being woken costs both
 * sides more than what is said between them. In between the CPU is offered to others, above all to the peer that is to answer. */
#pragma once

#include <stdint.h>
#include <uv.h>

struct awake {
	uv_idle_t idle;     /* active while the loop does not sleep */
	uint64_t until_ns;
	unsigned misses;    /* in a row: stayed awake for nothing */
	unsigned pass;      /* so many works are not waited behind */
};

/* Does not keep the loop alive. */
void awake_init(struct awake *awake, uv_loop_t *loop, void *data);

/* Work came. */
void awake_note_work(struct awake *awake);

/* The memory must live until on_closed, which gets the handle, whose data is that of awake_init. */
void awake_close(struct awake *awake, uv_close_cb on_closed);
