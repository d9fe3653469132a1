/* Owns the samples of one count. Called by what shows progress; pure. */
#include "ctl/rate.h"

static size_t sample_before(size_t at)
{
	return (at + RATE_SAMPLES - 1) % RATE_SAMPLES;
}

void rate_note(struct rate *rate, int64_t now_ms, int64_t count)
{
	size_t last = sample_before(rate->next);
	if (rate->used && count < rate->count[last])
		*rate = (struct rate){0};
	else if (rate->used && now_ms - rate->at_ms[last] < RATE_EVERY_MS)
		return;
	rate->at_ms[rate->next] = now_ms;
	rate->count[rate->next] = count;
	rate->next = (rate->next + 1) % RATE_SAMPLES;
	if (rate->used < RATE_SAMPLES)
		rate->used++;
}

double rate_per_second(const struct rate *rate, int64_t now_ms)
{
	size_t last = sample_before(rate->next);
	size_t first = last;
	for (size_t i = 1; i < rate->used && now_ms - rate->at_ms[first] < RATE_WINDOW_MS; i++)
		first = sample_before(first);
	int64_t passed = rate->used ? now_ms - rate->at_ms[first] : 0;
	return passed > 0 ? (double)(rate->count[last] - rate->count[first]) * 1000 / (double)passed : 0;
}
