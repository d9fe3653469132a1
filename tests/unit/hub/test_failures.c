/* Protects what people are shown of failures: items cut and told apart by their bytes, whatever a node said, and how many are kept. */
#include "hub/failures.h"

#include "../support.h"

#include <stdio.h>
#include <string.h>

static json_t *note(const char *item, size_t len, int64_t bytes, const char *error)
{
	json_t *list = NULL;
	const struct failure failure = {.item = item, .item_len = len, .item_bytes = bytes, .error = error, .attempts = 2, .dead = true};
	failures_note(&list, &failure, 77);
	json_t *last = failures_last(list, 1);
	json_decref(list);
	assert_int_equal(json_array_size(last), 1);
	json_t *entry = json_incref(json_array_get(last, 0));
	json_decref(last);
	return entry;
}

static const char *text_of(const json_t *entry, const char *name)
{
	return json_string_value(json_object_get(entry, name));
}

static void test_failures_show_what_the_node_said(void **state)
{
	(void)state;
	json_t *entry = note("item", 4, 4,
			     "{\"reason\": \"exit status 3\", \"exit_status\": 3, \"out_of_memory\": true, \"log_tail\": \"bye\","
			     " \"node\": \"n\", \"hostname\": \"h\"}");
	json_t *expected = json_pack("{s:i, s:s, s:s, s:s, s:s, s:i, s:b, s:s, s:i, s:i, s:b}", "at_ms", 77, "node", "n", "hostname",
				     "h", "item", "item", "reason", "exit status 3", "exit_status", 3, "out_of_memory", 1, "log_tail",
				     "bye", "item_bytes", 4, "attempts", 2, "dead", 1);
	assert_true(json_equal(entry, expected));
	json_decref(entry);
	json_decref(expected);
}

static void test_failures_take_nonsense_from_a_node(void **state)
{
	(void)state;
	static const char *const ERRORS[] = {NULL, "", "no JSON", "[]", "{\"reason\": 5, \"exit_status\": \"x\", \"log_tail\": {}}"};
	for (size_t i = 0; i < sizeof(ERRORS) / sizeof(ERRORS[0]); i++) {
		json_t *entry = note("x", 1, 1, ERRORS[i]);
		assert_true(json_is_null(json_object_get(entry, "reason")));
		assert_true(json_is_null(json_object_get(entry, "exit_status")));
		assert_true(json_is_null(json_object_get(entry, "log_tail")));
		assert_false(json_is_true(json_object_get(entry, "out_of_memory")));
		json_decref(entry);
	}
}

static void assert_item(const char *item, size_t len, int64_t bytes, const char *text, const char *base64)
{
	json_t *entry = note(item, len, bytes, "{}");
	if (text)
		assert_string_equal(text_of(entry, "item"), text);
	else
		assert_string_equal(text_of(entry, "item_base64"), base64);
	assert_null(json_object_get(entry, text ? "item_base64" : "item"));
	json_decref(entry);
}

static void test_failures_items_that_are_no_text_are_base64(void **state)
{
	(void)state;
	assert_item("", 0, 0, "", NULL);
	assert_item("a\xc3\xa9", 3, 3, "a\xc3\xa9", NULL);
	assert_item("\xff\x00", 2, 2, NULL, "/wA=");
	assert_item("a\0b", 3, 3, NULL, "YQBi"); /* a NUL is no text for most who read this */
	assert_item("a\xc3", 2, 2, NULL, "YcM=");
}

static void test_failures_a_cut_item_ends_with_a_whole_character(void **state)
{
	(void)state;
	assert_item("a\xc3", 2, 3, "a", NULL);
	assert_item("a\xe2\x82", 3, 4, "a", NULL);
	assert_item("a\xf0\x9f\x98", 4, 5, "a", NULL);
	assert_item("a\xc3\xa9", 3, 9, "a\xc3\xa9", NULL);
	assert_item("ab", 2, 9, "ab", NULL);
	assert_item("\x80\x80\x80\x80", 4, 9, NULL, "gICAgA==");
	char large[2 * FAILURE_ITEM];
	memset(large, 'x', sizeof(large));
	json_t *entry = note(large, sizeof(large), sizeof(large), "{}");
	assert_int_equal(strlen(text_of(entry, "item")), FAILURE_ITEM);
	assert_int_equal(json_integer_value(json_object_get(entry, "item_bytes")), sizeof(large));
	json_decref(entry);
	memset(large, 0xff, sizeof(large));
	entry = note(large, sizeof(large), sizeof(large), "{}");
	assert_int_equal(strlen(text_of(entry, "item_base64")), 4 * ((FAILURE_ITEM + 2) / 3));
	json_decref(entry);
}

static void test_failures_of_the_log_the_end_is_kept(void **state)
{
	(void)state;
	char error[2 * FAILURE_TAIL + 64];
	int len = snprintf(error, sizeof(error), "{\"log_tail\": \"");
	memset(error + len, 'x', FAILURE_TAIL);
	(void)snprintf(error + len + FAILURE_TAIL, sizeof(error) - (size_t)len - FAILURE_TAIL, "END\"}");
	json_t *entry = note("x", 1, 1, error);
	const char *tail = text_of(entry, "log_tail");
	assert_int_equal(strlen(tail), FAILURE_TAIL);
	assert_string_equal(tail + FAILURE_TAIL - 3, "END");
	json_decref(entry);
}

static void test_failures_the_last_ones_are_kept_in_order(void **state)
{
	(void)state;
	json_t *list = NULL;
	assert_int_equal(json_array_size(list), 0);
	json_t *none = failures_last(NULL, 10);
	assert_int_equal(json_array_size(none), 0);
	json_decref(none);
	for (int i = 0; i < FAILURES_KEPT + 30; i++) {
		const struct failure failure = {.item = "x", .item_len = 1, .item_bytes = 1, .error = "{}", .attempts = i};
		failures_note(&list, &failure, i);
	}
	assert_int_equal(json_array_size(list), FAILURES_KEPT);
	json_t *last = failures_last(list, 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(json_integer_value(json_object_get(json_array_get(last, (size_t)i), "at_ms")), FAILURES_KEPT + 27 + i);
	json_decref(last);
	json_decref(list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures_show_what_the_node_said),
		cmocka_unit_test(test_failures_take_nonsense_from_a_node),
		cmocka_unit_test(test_failures_items_that_are_no_text_are_base64),
		cmocka_unit_test(test_failures_a_cut_item_ends_with_a_whole_character),
		cmocka_unit_test(test_failures_of_the_log_the_end_is_kept),
		cmocka_unit_test(test_failures_the_last_ones_are_kept_in_order),
	};
	return cmocka_run_group_tests_name("failures", tests, NULL, NULL);
}
