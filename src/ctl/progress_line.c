/* Owns how progress looks in a line. Called by run, attach and watch; pure. */
#include "ctl/progress_line.h"

#include "ctl/shown.h"

#include <stdio.h>
#include <string.h>

enum { BAR_LEAST = 10, BAR_MOST = 40, NAME_MOST = 24, PART_MAX = 128, PARTS_MAX = 8, GAP = 2 };

int progress_add_count(struct buf *into, int64_t count)
{
	char digits[24];
	int len = snprintf(digits, sizeof(digits), "%lld", (long long)count);
	int rc = 0;
	for (int i = 0; i < len && !rc; i++) {
		rc = buf_add(into, digits + i, 1);
		int left = len - 1 - i;
		if (!rc && left > 0 && left % 3 == 0 && digits[i] != '-')
			rc = buf_add(into, ",", 1);
	}
	return rc;
}

int progress_add_rate(struct buf *into, double per_second)
{
	int rc;
	if (per_second >= 100)
		rc = progress_add_count(into, (int64_t)(per_second + 0.5));
	else if (per_second >= 1)
		rc = buf_printf(into, "%.1f", per_second);
	else
		return buf_printf(into, "%.1f/min", per_second * 60);
	return rc ? rc : buf_printf(into, "/s");
}

int progress_add_seconds(struct buf *into, double seconds)
{
	enum { MINUTE = 60, HOUR = 60 * MINUTE, DAY = 24 * HOUR };
	int64_t s = seconds < 1e12 ? (int64_t)(seconds + 0.5) : (int64_t)1e12;
	if (s >= DAY)
		return buf_printf(into, "%lldd %lldh", (long long)(s / DAY), (long long)(s % DAY / HOUR));
	if (s >= HOUR)
		return buf_printf(into, "%lld:%02lld:%02lld", (long long)(s / HOUR), (long long)(s % HOUR / MINUTE),
				  (long long)(s % MINUTE));
	return buf_printf(into, "%lld:%02lld", (long long)(s / MINUTE), (long long)(s % MINUTE));
}

double progress_left(const struct progress_view *view)
{
	int64_t left = view->total - view->done - view->failed;
	if (view->total < 0 || view->grows || view->rate <= 0 || left < 0)
		return -1;
	return (double)left / view->rate;
}

int progress_add_bar(struct buf *into, double share, int width)
{
	int inside = width - 2;
	int full = share >= 1 ? inside : (int)(share * inside);
	int rc = buf_add(into, "[", 1);
	for (int i = 0; i < inside && !rc; i++)
		rc = buf_add(into, i < full ? "#" : ".", 1);
	return rc ? rc : buf_add(into, "]", 1);
}

/* ---- the line: parts, of which those of the least rank go first when there is no room ---- */

struct part {
	struct buf text;
	int rank; /* 0: always there */
};

struct parts {
	struct part part[PARTS_MAX];
	size_t count;
	int rc;
};

static struct buf *part_new(struct parts *parts, int rank)
{
	struct part *part = &parts->part[parts->count++];
	part->rank = rank;
	buf_init(&part->text, PART_MAX);
	return &part->text;
}

static void note(struct parts *parts, int rc)
{
	if (rc && !parts->rc)
		parts->rc = rc;
}

static void form_counts(struct parts *parts, const struct progress_view *view)
{
	struct buf *counts = part_new(parts, 0);
	note(parts, progress_add_count(counts, view->done));
	if (view->total >= 0) {
		note(parts, buf_add(counts, "/", 1));
		note(parts, progress_add_count(counts, view->total));
		note(parts, view->grows ? buf_add(counts, "+", 1) : 0);
	} else {
		note(parts, buf_printf(counts, " done"));
	}
}

static void form_parts(struct parts *parts, const struct progress_view *view)
{
	form_counts(parts, view);
	if (view->failed) {
		struct buf *failed = part_new(parts, 6);
		note(parts, progress_add_count(failed, view->failed));
		note(parts, buf_printf(failed, " failed"));
	}
	if (view->state)
		note(parts, buf_printf(part_new(parts, 5), "%.100s", view->state));
	if (view->rate > 0 && !view->state)
		note(parts, progress_add_rate(part_new(parts, 3), view->rate));
	double left = progress_left(view);
	if (left >= 0 && !view->state && view->done + view->failed < view->total) {
		struct buf *seconds = part_new(parts, 4);
		note(parts, progress_add_seconds(seconds, left));
		note(parts, buf_printf(seconds, " left"));
	}
	if (view->nodes >= 0)
		note(parts, buf_printf(part_new(parts, 2), "%lld node%s", (long long)view->nodes, view->nodes == 1 ? "" : "s"));
}

static int width_of(const struct parts *parts)
{
	int width = 0;
	for (size_t i = 0; i < parts->count; i++) {
		if (parts->part[i].rank >= 0)
			width += (int)shown_width(buf_text(&parts->part[i].text)) + (width ? GAP : 0);
	}
	return width;
}

/* Leaves out what ranks least until the rest fits. */
static int squeeze(struct parts *parts, int width)
{
	int taken = width_of(parts);
	for (int rank = 1; taken > width && rank <= 6; rank++) {
		for (size_t i = 0; i < parts->count; i++) {
			if (parts->part[i].rank == rank)
				parts->part[i].rank = -1;
		}
		taken = width_of(parts);
	}
	return taken;
}

static double share_of(const struct progress_view *view)
{
	return view->total > 0 ? (double)(view->done + view->failed) / (double)view->total : 0;
}

/* Percent never say 100 before the end. */
static int add_head(struct buf *into, const struct progress_view *view, int room)
{
	enum { PERCENT = 7 };
	char name_bytes[4 * NAME_MOST + 8];
	struct buf name;
	buf_init(&name, sizeof(name_bytes));
	shown_add(&name, view->name, NAME_MOST);
	int rc = 0;
	int bar = room - PERCENT;
	int name_width = (int)shown_width(buf_text(&name));
	if (bar - name_width - GAP >= BAR_LEAST) {
		rc = buf_printf(into, "%s  ", buf_text(&name));
		bar -= name_width + GAP;
	}
	buf_done(&name);
	if (bar < BAR_LEAST || view->total < 0)
		return rc;
	if (!rc)
		rc = progress_add_bar(into, share_of(view), bar < BAR_MOST ? bar : BAR_MOST);
	int percent = (int)(share_of(view) * 100);
	return rc ? rc : buf_printf(into, " %3d%%  ", percent > 100 ? 100 : percent);
}

int progress_line(struct buf *into, const struct progress_view *view, int width)
{
	struct parts parts = {.rc = 0};
	form_parts(&parts, view);
	int rc = parts.rc;
	int taken = squeeze(&parts, width);
	if (!rc)
		rc = add_head(into, view, width - taken);
	bool first = true;
	for (size_t i = 0; i < parts.count; i++) {
		if (!rc && parts.part[i].rank >= 0) {
			rc = buf_printf(into, "%s%s", first ? "" : "  ", buf_text(&parts.part[i].text));
			first = false;
		}
		buf_done(&parts.part[i].text);
	}
	return rc;
}

int progress_words(struct buf *into, const struct progress_view *view)
{
	int rc = progress_add_count(into, view->done);
	if (!rc && view->total >= 0) {
		rc = buf_printf(into, " of ");
		if (!rc)
			rc = progress_add_count(into, view->total);
		if (!rc && view->grows)
			rc = buf_printf(into, " or more");
	}
	if (!rc)
		rc = buf_printf(into, " done");
	if (!rc && view->failed)
		rc = buf_printf(into, ", %lld failed", (long long)view->failed);
	if (!rc && view->state)
		return buf_printf(into, ", %s", view->state);
	if (!rc && view->rate > 0) {
		rc = buf_printf(into, ", ");
		if (!rc)
			rc = progress_add_rate(into, view->rate);
	}
	double left = progress_left(view);
	if (!rc && left >= 0 && view->done + view->failed < view->total) {
		rc = buf_printf(into, ", ");
		if (!rc)
			rc = progress_add_seconds(into, left);
		if (!rc)
			rc = buf_printf(into, " left");
	}
	if (!rc && view->nodes >= 0)
		rc = buf_printf(into, ", %lld node%s", (long long)view->nodes, view->nodes == 1 ? "" : "s");
	return rc;
}
