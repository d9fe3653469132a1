/* Owns the line of progress. Called by run, attach and push; asks nobody, and knows no task. */
#include "ctl/live_line.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 1024 };

static void put(const char *text, size_t len)
{
	(void)!write(STDERR_FILENO, text, len); /* a standard error that is gone is no reason to stop */
}

void live_line_clear(struct live_line *live)
{
	static const char CLEAR[] = "\r\x1b[K";
	if (live->drawn)
		put(CLEAR, sizeof(CLEAR) - 1);
	live->drawn = false;
}

static void on_message(void *context, const char *text)
{
	struct live_line *live = context;
	live_line_clear(live);
	live->last_ms = 0;
	(void)fprintf(stderr, "gridctl: %s\n", text);
	(void)fflush(stderr);
}

void live_line_init(struct live_line *live, struct ctl *ctl, bool off)
{
	*live = (struct live_line){.ctl = ctl, .off = off, .say_every_ms = LIVE_SAY_EVERY_MS};
	buf_init(&live->last, LINE_MAX_BYTES);
	ctl->on_message = on_message;
	ctl->message_context = live;
}

void live_line_done(struct live_line *live)
{
	if (!live->ctl)
		return;
	live_line_clear(live);
	live->ctl->on_message = NULL;
	live->ctl->message_context = NULL;
	buf_done(&live->last);
	live->ctl = NULL;
}

static void draw(struct live_line *live, const struct progress_view *view)
{
	struct buf line;
	buf_init(&line, LINE_MAX_BYTES);
	terminal_look(&live->ctl->err, STDERR_FILENO); /* it may have another width now */
	int columns = live->ctl->err.columns;
	int rc = buf_add(&line, "\r", 1);
	if (!rc)
		rc = progress_line(&line, view, columns > 1 ? columns - 1 : 1); /* the last column would wrap on some */
	if (!rc)
		rc = buf_add(&line, "\x1b[K", 3);
	if (!rc)
		put(line.data, line.len);
	live->drawn = true;
	buf_done(&line);
}

static void say(struct live_line *live, const struct progress_view *view)
{
	struct buf line;
	buf_init(&line, LINE_MAX_BYTES);
	int rc = buf_printf(&line, "%.200s: ", view->name);
	if (!rc)
		rc = progress_words(&line, view);
	if (!rc)
		rc = buf_add(&line, "\n", 1);
	if (!rc && strcmp(buf_text(&line), buf_text(&live->last)) != 0) {
		put(line.data, line.len);
		buf_clear(&live->last);
		rc = buf_add(&live->last, line.data, line.len);
	}
	if (rc)
		buf_clear(&live->last);
	buf_done(&line);
}

void live_line_show(struct live_line *live, const struct progress_view *view, int64_t now_ms)
{
	bool terminal = live->ctl->err.is_one;
	if (live->off || (live->last_ms && now_ms - live->last_ms < (terminal ? LIVE_DRAW_EVERY_MS : live->say_every_ms)))
		return;
	bool first = live->last_ms == 0;
	live->last_ms = now_ms;
	if (terminal)
		draw(live, view);
	else if (!first || view->done > 0 || view->state) /* "0 done" says nothing */
		say(live, view);
}
