/* Protects the forms of results: bytes stay bytes, and JSON is JSON. */
#include "exec/result.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static const struct result_place PLACE = {.node = "n-1", .instance = "3"};

static struct result result_of(const struct item *items, size_t count, const char *output, size_t len)
{
	return (struct result){.items = items, .count = count, .output = output, .output_len = len, .started = 1795476219.771,
			       .seconds = 0.012};
}

static void expect_bytes(enum result_format format, const struct result *result, const char *expected, size_t len)
{
	struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(result_write(&out, format, result, &PLACE), 0);
	assert_int_equal(out.len, len);
	assert_memory_equal(out.data, expected, len);
	buf_done(&out);
}

static void expect_json(const struct result *result, const struct result_place *place, const char *expected)
{
	struct buf out;
	buf_init(&out, 4096);
	assert_int_equal(result_write(&out, RESULT_JSON, result, place), 0);
	assert_string_equal(buf_text(&out), expected);
	buf_done(&out);
}

static void test_plain_is_the_output(void **state)
{
	(void)state;
	struct item item = {.bytes = "i", .len = 1};
	struct result result = result_of(&item, 1, "a\0b\n", 4);
	expect_bytes(RESULT_PLAIN, &result, "a\0b\n", 4);
	result = result_of(&item, 1, "", 0);
	struct buf out;
	buf_init(&out, 16);
	assert_int_equal(result_write(&out, RESULT_PLAIN, &result, &PLACE), 0);
	assert_int_equal(out.len, 0);
	buf_done(&out);
}

static void test_tag_puts_the_item_in_front(void **state)
{
	(void)state;
	struct item items[] = {{.bytes = "x\0y", .len = 3}, {.bytes = "z", .len = 1}};
	struct result result = result_of(items, 1, "out\n", 4);
	expect_bytes(RESULT_TAG, &result, "x\0y\tout\n", 8);
	result = result_of(items, 2, "out", 3);
	expect_bytes(RESULT_TAG, &result, "x\0y z\tout", 9);
}

static void test_json_says_everything(void **state)
{
	(void)state;
	struct item item = {.bytes = "a \"b\"\xc3\xa9", .len = 7, .has_seq = true, .seq = 7, .failures = 1};
	struct result result = result_of(&item, 1, "1\n", 2);
	expect_json(&result, &PLACE,
		    "{\"seq\": 7, \"item\": \"a \\\"b\\\"\xc3\xa9\", \"result\": \"1\\n\", \"exit\": 0, \"seconds\": 0.012, "
		    "\"started\": 1795476219.771, \"node\": \"n-1\", \"instance\": 3, \"attempt\": 2}");
	item.has_seq = false;
	item.failures = 0;
	result.seconds = 0;
	expect_json(&result, &(struct result_place){.instance = "3b"},
		    "{\"item\": \"a \\\"b\\\"\xc3\xa9\", \"result\": \"1\\n\", \"exit\": 0, \"seconds\": 0.0, "
		    "\"started\": 1795476219.771, \"node\": null, \"instance\": \"3b\", \"attempt\": 1}");
}

static void test_json_has_base64_for_what_is_no_text(void **state)
{
	(void)state;
	struct item item = {.bytes = "\xff\xfe\xfb", .len = 3};
	struct result result = result_of(&item, 1, "a\0", 2);
	expect_json(&result, &PLACE,
		    "{\"item_base64\": \"//77\", \"result_base64\": \"YQA=\", \"exit\": 0, \"seconds\": 0.012, "
		    "\"started\": 1795476219.771, \"node\": \"n-1\", \"instance\": 3, \"attempt\": 1}");
	item = (struct item){.bytes = "\xc3", .len = 1}; /* half a character */
	result = result_of(&item, 1, "", 0);
	expect_json(&result, &PLACE,
		    "{\"item_base64\": \"ww==\", \"result\": \"\", \"exit\": 0, \"seconds\": 0.012, "
		    "\"started\": 1795476219.771, \"node\": \"n-1\", \"instance\": 3, \"attempt\": 1}");
}

static void test_json_of_a_batch_counts(void **state)
{
	(void)state;
	struct item items[] = {{.bytes = "a", .len = 1, .has_seq = true, .seq = 4, .failures = 0},
			       {.bytes = "b", .len = 1, .has_seq = true, .seq = 9, .failures = 2}};
	struct result result = result_of(items, 2, "o", 1);
	expect_json(&result, &PLACE,
		    "{\"seqs\": [4, 9], \"items\": 2, \"result\": \"o\", \"exit\": 0, \"seconds\": 0.012, "
		    "\"started\": 1795476219.771, \"node\": \"n-1\", \"instance\": 3, \"attempt\": 3}");
	items[0].has_seq = items[1].has_seq = false;
	expect_json(&result, &PLACE,
		    "{\"items\": 2, \"result\": \"o\", \"exit\": 0, \"seconds\": 0.012, "
		    "\"started\": 1795476219.771, \"node\": \"n-1\", \"instance\": 3, \"attempt\": 3}");
}

static void test_cap_is_kept(void **state)
{
	(void)state;
	struct item item = {.bytes = "item", .len = 4};
	struct result result = result_of(&item, 1, "output", 6);
	struct buf out;
	buf_init(&out, 8);
	assert_int_equal(result_write(&out, RESULT_JSON, &result, &PLACE), ERR_TOO_BIG);
	buf_clear(&out);
	assert_int_equal(result_write(&out, RESULT_TAG, &result, &PLACE), ERR_TOO_BIG);
	buf_done(&out);
}

static void test_json_survives_lack_of_memory(void **state)
{
	(void)state;
	struct item items[] = {{.bytes = "a", .len = 1, .has_seq = true, .seq = 4}, {.bytes = "b", .len = 1, .has_seq = true, .seq = 9}};
	struct result result = result_of(items, 2, "\xff", 1);
	unsigned n = 0;
	bool reached;
	do {
		struct buf out;
		buf_init(&out, 4096);
		fault_arm(++n);
		int rc = result_write(&out, RESULT_JSON, &result, &PLACE);
		reached = fault_disarm();
		assert_int_equal(rc, reached ? ERR_NOMEM : 0);
		buf_done(&out);
	} while (reached);
	assert_true(n > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_is_the_output),
		cmocka_unit_test(test_tag_puts_the_item_in_front),
		cmocka_unit_test(test_json_says_everything),
		cmocka_unit_test(test_json_has_base64_for_what_is_no_text),
		cmocka_unit_test(test_json_of_a_batch_counts),
		cmocka_unit_test(test_cap_is_kept),
		cmocka_unit_test(test_json_survives_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
