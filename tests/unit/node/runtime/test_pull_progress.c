/* Protects what people see of a pull: a percentage that only grows, and failures that hide in a stream with status
 * 200. */
#include "node/runtime/pull_progress.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

static void say(struct pull_progress *progress, const char *id, const char *status, int current, int total)
{
	json_t *message = json_pack("{s:s, s:s, s:{}}", "id", id, "status", status, "progressDetail");
	json_t *detail = json_object_get(message, "progressDetail");
	if (total) {
		(void)json_object_set_new(detail, "current", json_integer(current));
		(void)json_object_set_new(detail, "total", json_integer(total));
	}
	int before = progress->percent;
	pull_progress_add(progress, message);
	assert_true(progress->percent >= before && progress->percent <= 100);
	json_decref(message);
}

static void test_pull_progress_goes_from_unknown_to_all(void **state)
{
	(void)state;
	struct pull_progress progress;
	pull_progress_init(&progress);
	say(&progress, "1.0", "Pulling from app", 0, 0);
	assert_int_equal(progress.percent, -1);
	assert_int_equal(progress.count, 0);
	say(&progress, "a", "Pulling fs layer", 0, 0);
	say(&progress, "b", "Pulling fs layer", 0, 0);
	say(&progress, "c", "Already exists", 0, 0);
	assert_int_equal(progress.percent, -1);

	say(&progress, "a", "Downloading", 50, 100);
	assert_in_range(progress.percent, 40, 50); /* c is there, a half downloaded */
	say(&progress, "a", "Download complete", 0, 0);
	say(&progress, "b", "Downloading", 10, 100);
	assert_string_equal(progress.text, "1 of 3 layers, 0.0 of 0.0 MB");
	say(&progress, "b", "Download complete", 0, 0);
	say(&progress, "a", "Extracting", 100, 100);
	say(&progress, "a", "Pull complete", 0, 0);
	assert_in_range(progress.percent, 80, 99);
	say(&progress, "b", "Extracting", 100, 100);
	say(&progress, "b", "Pull complete", 0, 0);
	assert_int_equal(progress.percent, 100);
	assert_string_equal(progress.text, "3 of 3 layers, 0.0 of 0.0 MB");
	assert_int_equal(progress.err.code, 0);
}

static void test_pull_progress_never_falls(void **state)
{
	(void)state;
	struct pull_progress progress;
	pull_progress_init(&progress);
	say(&progress, "a", "Pulling fs layer", 0, 0);
	say(&progress, "b", "Pulling fs layer", 0, 0);
	say(&progress, "a", "Downloading", 100, 100);
	int percent = progress.percent;
	say(&progress, "b", "Downloading", 0, 100000); /* far larger than the mean that it counted for */
	assert_int_equal(progress.percent, percent);
}

static void test_pull_progress_tells_bytes(void **state)
{
	(void)state;
	struct pull_progress progress;
	pull_progress_init(&progress);
	say(&progress, "a", "Downloading", 12340000, 45600000);
	assert_string_equal(progress.text, "0 of 1 layers, 12.3 of 45.6 MB");
}

static void test_pull_progress_finds_errors_in_the_stream(void **state)
{
	(void)state;
	static const char *const MESSAGES[] = {
		"{\"error\":\"no space left on device\",\"errorDetail\":{\"message\":\"x\"}}",
		"{\"errorDetail\":{\"message\":\"write /a: no space left on device\"}}",
	};
	for (size_t i = 0; i < 2; i++) {
		struct pull_progress progress;
		pull_progress_init(&progress);
		json_t *message = json_loads(MESSAGES[i], 0, NULL);
		pull_progress_add(&progress, message);
		json_decref(message);
		assert_int_equal(progress.err.code, ERR_NO_SPACE);
		assert_contains(progress.err.text, "free disk space");
	}
}

static void test_pull_progress_bears_strange_messages(void **state)
{
	(void)state;
	static const char *const MESSAGES[] = {
		"{}", "{\"status\":1,\"id\":2}", "{\"status\":\"Downloading\"}", "{\"id\":\"a\"}",
		"{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":-5,\"total\":-1}}",
		"{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":9e99,\"total\":\"x\"}}",
		"{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":{\"current\":9223372036854775807,\"total\":1}}",
		"{\"status\":\"Downloading\",\"id\":\"a\",\"progressDetail\":[]}", "{\"error\":null}",
	};
	struct pull_progress progress;
	pull_progress_init(&progress);
	for (size_t i = 0; i < sizeof(MESSAGES) / sizeof(MESSAGES[0]); i++) {
		json_t *message = json_loads(MESSAGES[i], 0, NULL);
		assert_non_null(message);
		pull_progress_add(&progress, message);
		json_decref(message);
	}
	assert_in_range(progress.percent, 0, 100);
	assert_int_equal(progress.err.code, 0);
}

static void test_pull_progress_bounds_its_layers(void **state)
{
	(void)state;
	struct pull_progress progress;
	pull_progress_init(&progress);
	for (int i = 0; i < 2 * PULL_LAYERS_MAX; i++) {
		char id[100];
		(void)snprintf(id, sizeof(id), "layer%d", i);
		say(&progress, id, "Downloading", 1, 2);
	}
	assert_int_equal(progress.count, PULL_LAYERS_MAX);
	char longest[200];
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	pull_progress_init(&progress);
	say(&progress, longest, "Downloading", 1, 2);
	assert_int_equal(progress.count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pull_progress_goes_from_unknown_to_all),
		cmocka_unit_test(test_pull_progress_never_falls),
		cmocka_unit_test(test_pull_progress_tells_bytes),
		cmocka_unit_test(test_pull_progress_finds_errors_in_the_stream),
		cmocka_unit_test(test_pull_progress_bears_strange_messages),
		cmocka_unit_test(test_pull_progress_bounds_its_layers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
