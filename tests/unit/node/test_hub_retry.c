/* Protects a hub that comes back from the crowd that waits for it: 10,000 nodes whose held calls broke in the same
 * millisecond, by the pauses that the hub client really takes, for outages of every length. */
#include "support.h"

#include "node/hub_client.h"

#include <string.h>

enum {
	NODES = 10000,
	BIN_MS = 100,
	HEARTBEAT_MS = 30 * 1000,
	BINS = 2 * 60 * 1000 / BIN_MS,
	/* A hub on one core answers more than 10,000 calls a second, connections included: less than that for all of them. */
	PEAK_MAX = 750,
	MEAN_RETURN_MAX_MS = 2500,
};

/* xorshift: the same numbers in each run. */
static uint32_t draw(void)
{
	static uint32_t state = 2463534242U;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state;
}

/* When a call that was due at due_ms, and is repeated until the hub is back, is answered. */
static int64_t answered_at(int64_t due_ms, int64_t back_ms)
{
	struct backoff backoff = HUB_BACKOFF;
	while (due_ms < back_ms)
		due_ms += backoff_next_ms(&backoff, draw());
	return due_ms;
}

/* The most calls that come in 100 ms after a hub that died at 0 is back. */
static unsigned peak_of(int64_t back_ms)
{
	static unsigned bins[BINS];
	unsigned peak = 0;
	memset(bins, 0, sizeof(bins));
	for (int i = 0; i < NODES; i++) {
		int64_t calls[] = {answered_at(0, back_ms), answered_at(draw() % HEARTBEAT_MS, back_ms)};
		for (int call = 0; call < 2; call++) {
			int64_t bin = (calls[call] - back_ms) / BIN_MS;
			assert_in_range((uintmax_t)bin, 0, BINS - 1);
			if (++bins[bin] > peak)
				peak = bins[bin];
		}
	}
	return peak;
}

static void test_hub_retry_is_no_herd_after_any_outage(void **state)
{
	(void)state;
	static const int64_t OUTAGES_MS[] = {1, 100, 500, 1000, 2000, 4000, 8000, 15000, 30000, 60000, 300000};
	for (size_t i = 0; i < sizeof(OUTAGES_MS) / sizeof(OUTAGES_MS[0]); i++) {
		unsigned peak = peak_of(OUTAGES_MS[i]);
		print_message("# away for %lld ms: at most %u calls in 100 ms\n", (long long)OUTAGES_MS[i], peak);
		assert_in_range(peak, 1, PEAK_MAX);
	}
}

static void test_hub_retry_of_one_node_is_quick(void **state)
{
	(void)state;
	int64_t sum = 0;
	for (int i = 0; i < NODES; i++)
		sum += answered_at(0, 1);
	assert_in_range((uintmax_t)(sum / NODES), 100, MEAN_RETURN_MAX_MS);
}

/* A hub that was away for minutes has everybody back within the longest pause. */
static void test_hub_retry_never_waits_longer_than_a_minute(void **state)
{
	(void)state;
	for (int i = 0; i < NODES; i++)
		assert_in_range((uintmax_t)(answered_at(0, 600000) - 600000), 0, 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hub_retry_is_no_herd_after_any_outage),
		cmocka_unit_test(test_hub_retry_of_one_node_is_quick),
		cmocka_unit_test(test_hub_retry_never_waits_longer_than_a_minute),
	};
	return cmocka_run_group_tests_name("hub_retry", tests, NULL, NULL);
}
