/* Owns what is known of each item. Called by the run, for results and for dead letters; decides nothing. */
#include "ctl/run/tracker.h"

void tracker_done(struct tracker *tracker)
{
	bits_done(&tracker->finished);
	bits_done(&tracker->failed);
	bits_done(&tracker->before);
}

int tracker_finish(struct tracker *tracker, int64_t seq, bool *fresh)
{
	*fresh = !bits_has(&tracker->finished, seq);
	int rc = bits_add(&tracker->finished, seq);
	if (rc || !*fresh)
		return rc;
	tracker->finished_count++;
	if (bits_has(&tracker->failed, seq)) {
		bits_remove(&tracker->failed, seq);
		tracker->failed_count--;
	}
	return 0;
}

int tracker_fail(struct tracker *tracker, int64_t seq)
{
	if (bits_has(&tracker->finished, seq) || bits_has(&tracker->failed, seq))
		return 0;
	int rc = bits_add(&tracker->failed, seq);
	if (!rc)
		tracker->failed_count++;
	return rc;
}

void tracker_forget_failures(struct tracker *tracker)
{
	bits_clear(&tracker->failed);
	tracker->failed_count = 0;
}

bool tracker_is_void(const struct tracker *tracker, int64_t seq)
{
	return bits_has(&tracker->failed, seq) || bits_has(&tracker->before, seq);
}

bool tracker_is_complete(const struct tracker *tracker)
{
	return tracker->finished_count + tracker->failed_count >= tracker->given;
}
