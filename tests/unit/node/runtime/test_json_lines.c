/* Protects the reading of progress and events: objects come out however the bytes are cut, and memory stays capped. */
#include "node/runtime/json_lines.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

struct heard {
	char numbers[64];
	int stop_at;
};

static int on_object(void *context, json_t *object)
{
	struct heard *heard = context;
	int n = (int)json_integer_value(json_object_get(object, "n"));
	size_t len = strlen(heard->numbers);
	(void)snprintf(heard->numbers + len, sizeof(heard->numbers) - len, "%d ", n);
	return heard->stop_at && n == heard->stop_at ? ERR_CANCELLED : 0;
}

static const char TEXT[] = "{\"n\":1}\r\n\n{\"n\":2}\n  \r\n{\"n\":3}";

static void test_json_lines_comes_out_the_same_however_it_is_cut(void **state)
{
	(void)state;
	for (size_t part = 1; part <= sizeof(TEXT); part++) {
		struct json_lines lines;
		struct heard heard = {0};
		json_lines_init(&lines, 64);
		for (size_t at = 0; at < strlen(TEXT); at += part) {
			size_t len = strlen(TEXT) - at < part ? strlen(TEXT) - at : part;
			assert_int_equal(json_lines_feed(&lines, TEXT + at, len, on_object, &heard), 0);
		}
		assert_string_equal(heard.numbers, "1 2 ");
		assert_int_equal(json_lines_finish(&lines, on_object, &heard), 0);
		assert_string_equal(heard.numbers, "1 2 3 ");
		json_lines_done(&lines);
	}
}

static void test_json_lines_refuses_what_is_no_object(void **state)
{
	(void)state;
	static const char *const TEXTS[] = {"[1]\n", "nonsense\n", "{\"n\":1\n", "1\n", "{} {}\n"};
	for (size_t i = 0; i < sizeof(TEXTS) / sizeof(TEXTS[0]); i++) {
		struct json_lines lines;
		struct heard heard = {0};
		json_lines_init(&lines, 64);
		assert_int_equal(json_lines_feed(&lines, TEXTS[i], strlen(TEXTS[i]), on_object, &heard), ERR_INVALID);
		json_lines_done(&lines);
	}
}

static void test_json_lines_keeps_to_the_cap(void **state)
{
	(void)state;
	struct json_lines lines;
	struct heard heard = {0};
	json_lines_init(&lines, 16);
	assert_int_equal(json_lines_feed(&lines, "0123456789", 10, on_object, &heard), 0);
	assert_int_equal(json_lines_feed(&lines, "0123456789", 10, on_object, &heard), ERR_TOO_BIG);
	json_lines_done(&lines);
}

static void test_json_lines_stops_when_the_reader_has_enough(void **state)
{
	(void)state;
	struct json_lines lines;
	struct heard heard = {.stop_at = 2};
	json_lines_init(&lines, 64);
	static const char ALL[] = "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n";
	assert_int_equal(json_lines_feed(&lines, ALL, strlen(ALL), on_object, &heard), ERR_CANCELLED);
	assert_string_equal(heard.numbers, "1 2 ");
	json_lines_done(&lines);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_lines_comes_out_the_same_however_it_is_cut),
		cmocka_unit_test(test_json_lines_refuses_what_is_no_object),
		cmocka_unit_test(test_json_lines_keeps_to_the_cap),
		cmocka_unit_test(test_json_lines_stops_when_the_reader_has_enough),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
