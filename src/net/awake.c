/* Owns the decision whether a loop sleeps at once. Called by the gateway for each read; never blocks.
 *
 *   ASLEEP --work, none to be passed over--> AWAKE --work: a hit, begins anew--> AWAKE
 *                                              +--none for STAY_US: a miss--> ASLEEP; 1, 3, 7, … 255 works are passed over
 *
 * So peers that answer within microseconds are waited for, and those that compute for longer cost next to nothing. */
#include "net/awake.h"

#include <sched.h>

enum {
	STAY_US = 60,
	MISSES_MOST = 8, /* 255 works passed over for each miss */
};

static void on_idle(uv_idle_t *idle)
{
	struct awake *awake = (struct awake *)idle;
	if (uv_hrtime() < awake->until_ns) {
		(void)sched_yield();
		return;
	}
	(void)uv_idle_stop(idle);
	if (awake->misses < MISSES_MOST)
		awake->misses++;
	awake->pass = (1U << awake->misses) - 1;
}

void awake_init(struct awake *awake, uv_loop_t *loop, void *data)
{
	*awake = (struct awake){0};
	(void)uv_idle_init(loop, &awake->idle);
	uv_unref((uv_handle_t *)&awake->idle);
	awake->idle.data = data;
}

void awake_note_work(struct awake *awake)
{
	if (uv_is_active((uv_handle_t *)&awake->idle)) {
		awake->misses = 0;
	} else if (awake->pass > 0) {
		awake->pass--;
		return;
	} else {
		(void)uv_idle_start(&awake->idle, on_idle);
	}
	awake->until_ns = uv_hrtime() + STAY_US * UINT64_C(1000);
}

void awake_close(struct awake *awake, uv_close_cb on_closed)
{
	uv_close((uv_handle_t *)&awake->idle, on_closed);
}
