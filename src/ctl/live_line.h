/* Progress on standard error: on a terminal one line that is drawn again and again in its place, elsewhere a plain line now and
 * then. Messages that come in between stand above it. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/progress_line.h"

#include <stdbool.h>
#include <stdint.h>

enum { LIVE_DRAW_EVERY_MS = 200, LIVE_SAY_EVERY_MS = 10 * 1000 };

struct live_line {
	struct ctl *ctl;
	bool off;           /* -q: nothing is drawn */
	bool drawn;         /* it stands on the terminal now */
	int64_t last_ms;    /* monotonic */
	int64_t say_every_ms;
	struct buf last;    /* what was said last, so that nothing is said twice */
};

/* Messages of ctl go through it until live_line_done. */
void live_line_init(struct live_line *live, struct ctl *ctl, bool off);
void live_line_done(struct live_line *live);

/* Shows how things are, unless it was shown a moment ago. */
void live_line_show(struct live_line *live, const struct progress_view *view, int64_t now_ms);

/* Takes the line away: something else is about to be written there. */
void live_line_clear(struct live_line *live);
