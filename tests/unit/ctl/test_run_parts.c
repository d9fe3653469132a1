/* Protects what a run is made of: its order, its job log, its halting, its placeholders, the reading of its results. */
#include "ctl/run/halt.h"
#include "ctl/run/joblog.h"
#include "ctl/run/order.h"
#include "ctl/run/placeholders.h"
#include "ctl/run/run_options.h"
#include "ctl/run/run_result.h"
#include "ctl/run/tracker.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- halt ---- */

static enum halt_when decide(const char *text, int64_t good, int64_t failed)
{
	struct halt halt;
	struct err err;
	assert_int_equal(halt_parse(text, &halt, &err), 0);
	return halt_decide(&halt, good, failed);
}

static void test_halt_counts_what_it_names(void **state)
{
	(void)state;
	assert_int_equal(decide("never", 0, 1000), HALT_NEVER);
	assert_int_equal(decide("now,fail=2", 5, 1), HALT_NEVER);
	assert_int_equal(decide("now,fail=2", 5, 2), HALT_NOW);
	assert_int_equal(decide("soon,success=1", 1, 0), HALT_SOON);
	assert_int_equal(decide("soon,done=3", 1, 1), HALT_NEVER);
	assert_int_equal(decide("soon,done=3", 1, 2), HALT_SOON);
	assert_int_equal(decide("1", 0, 1), HALT_SOON);
	assert_int_equal(decide("2", 0, 1), HALT_NOW);
}

static void test_halt_takes_a_share_from_three_on(void **state)
{
	(void)state;
	assert_int_equal(decide("now,fail=10%", 0, 2), HALT_NEVER);
	assert_int_equal(decide("now,fail=10%", 27, 3), HALT_NOW);
	assert_int_equal(decide("now,fail=10%", 28, 3), HALT_NEVER);
	assert_int_equal(decide("now,fail=100%", 0, 3), HALT_NOW);
}

static void test_halt_refuses_other_words(void **state)
{
	(void)state;
	static const char *const BAD[] = {"", "now", "now,", "now,fail", "now,fail=", "now,fail=0", "now,fail=-1", "now,fail=x",
					  "now,fail=1x", "later,fail=1", "now,fail=0%", "now,fail=101%", "3"};
	struct halt halt;
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct err err = {0};
		assert_int_equal(halt_parse(BAD[i], &halt, &err), ERR_INVALID);
		assert_contains(err.text, "--halt");
	}
}

/* ---- order ---- */

static bool is_five(void *context, int64_t seq)
{
	(void)context;
	return seq == 5;
}

static void add(struct order *order, int64_t seq, size_t len)
{
	struct err err;
	char *bytes = malloc(len + 1);
	assert_non_null(bytes);
	memset(bytes, 'a' + (int)(seq % 26), len);
	assert_int_equal(order_add(order, seq, seq * 10, bytes, len, &err), 0);
	free(bytes);
}

/* The next one, which must be this; 0: none is due. */
static void expect(struct order *order, bool all, int64_t seq, size_t len)
{
	struct order_entry entry;
	struct err err;
	bool got = false;
	assert_int_equal(order_take(order, all, &entry, &got, &err), 0);
	assert_int_equal(got, seq != 0);
	if (!got)
		return;
	assert_int_equal(entry.seq, seq);
	assert_int_equal(entry.tag, seq * 10);
	assert_int_equal(entry.len, len);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(entry.bytes[i], 'a' + (int)(seq % 26));
}

static void test_order_gives_each_in_its_turn(void **state)
{
	(void)state;
	struct order *order = order_new(1, 1000, is_five, NULL);
	assert_non_null(order);
	add(order, 3, 1);
	add(order, 2, 2);
	expect(order, false, 0, 0);
	add(order, 1, 3);
	expect(order, false, 1, 3);
	expect(order, false, 2, 2);
	expect(order, false, 3, 1);
	expect(order, false, 0, 0);
	add(order, 6, 1);
	expect(order, false, 0, 0); /* 4 is awaited */
	add(order, 4, 0);
	expect(order, false, 4, 0);
	expect(order, false, 6, 1); /* nothing comes of 5 */
	add(order, 5, 1);
	expect(order, false, 5, 1); /* late, but there */
	assert_int_equal(order_next(order), 7);
	add(order, 9, 1);
	add(order, 8, 1);
	expect(order, true, 8, 1); /* gaps or not */
	expect(order, true, 9, 1);
	order_free(order);
}

static void test_order_spills_and_gives_the_disk_back(void **state)
{
	(void)state;
	enum { COUNT = 200, LEN = 3000 };
	struct order *order = order_new(1, 10 * 1000, is_five, NULL);
	assert_non_null(order);
	for (int round = 0; round < 2; round++) {
		int first = round * COUNT;
		for (int i = COUNT; i > 1; i--)
			add(order, first + i, LEN);
		assert_true(order_spilled(order) > (COUNT - 10) * LEN);
		add(order, first + 1, LEN);
		for (int i = 1; i <= COUNT; i++)
			expect(order, false, first + i, LEN);
		assert_int_equal(order_spilled(order), 0);
		assert_int_equal(order_waiting(order), 0);
	}
	order_free(order);
}

static void test_order_says_that_there_is_no_disk(void **state)
{
	(void)state;
	struct err err = {0};
	struct order *order = order_new(1, 0, is_five, NULL);
	assert_int_equal(setenv("TMPDIR", "/nowhere/at/all", 1), 0);
	assert_int_not_equal(order_add(order, 2, 0, "x", 1, &err), 0);
	assert_contains(err.text, "/nowhere/at/all");
	assert_int_equal(unsetenv("TMPDIR"), 0);
	order_free(order);
}

/* ---- tracker ---- */

static void test_tracker_knows_what_became_of_each(void **state)
{
	(void)state;
	struct tracker tracker = {.given = 3};
	bool fresh;
	assert_int_equal(tracker_finish(&tracker, 1, &fresh), 0);
	assert_true(fresh);
	assert_int_equal(tracker_finish(&tracker, 1, &fresh), 0);
	assert_false(fresh);
	assert_int_equal(tracker_fail(&tracker, 1), 0); /* its result is here */
	assert_int_equal(tracker.failed_count, 0);
	assert_int_equal(tracker_fail(&tracker, 2), 0);
	assert_int_equal(tracker_fail(&tracker, 2), 0);
	assert_true(tracker_is_void(&tracker, 2));
	assert_false(tracker_is_complete(&tracker));
	assert_int_equal(tracker_fail(&tracker, 100000), 0);
	assert_true(tracker_is_complete(&tracker));
	assert_int_equal(tracker_finish(&tracker, 2, &fresh), 0); /* tried again, with success */
	assert_true(fresh);
	assert_int_equal(tracker.failed_count, 1);
	assert_int_equal(tracker_finish(&tracker, BITS_MAX, &fresh), ERR_TOO_BIG);
	assert_int_equal(tracker_finish(&tracker, -1, &fresh), ERR_TOO_BIG);
	tracker_done(&tracker);
}

/* ---- job log ---- */

static void test_joblog_is_read_as_it_was_written(void **state)
{
	(void)state;
	struct buf rows;
	struct bits done = {0};
	struct err err;
	buf_init(&rows, 10000);
	const struct joblog_row good = {.seq = 1, .host = "a", .started = 1.5, .seconds = 0.25, .command = "x\ty\nz"};
	const struct joblog_row bad = {.seq = 2, .host = "a", .exit_status = 3, .command = "x"};
	const struct joblog_row killed = {.seq = 70000, .host = "a", .signal = 9, .command = "x"};
	assert_int_equal(joblog_format(&rows, &good), 0);
	assert_string_equal(buf_text(&rows), "1\ta\t1.500\t     0.250\t0\t0\t0\t0\tx y z\n");
	assert_int_equal(joblog_format(&rows, &bad), 0);
	assert_int_equal(joblog_format(&rows, &killed), 0);
	for (int i = 0; i < 2; i++) {
		int fd = joblog_open("log", &err);
		assert_true(fd >= 0);
		assert_int_equal(joblog_begin(fd, "log", i > 0, &err), 0);
		if (i == 0)
			assert_int_equal(write(fd, rows.data, rows.len), (ssize_t)rows.len);
		else
			assert_int_equal(write(fd, "4\ta\t1\t1\t0\t0\t0", 14), 14); /* cut in the middle */
		(void)close(fd);
	}
	assert_int_equal(joblog_read("log", false, &done, &err), 0);
	assert_true(bits_has(&done, 1) && bits_has(&done, 2) && bits_has(&done, 70000));
	assert_false(bits_has(&done, 4) || bits_has(&done, 0));
	bits_clear(&done);
	assert_int_equal(joblog_read("log", true, &done, &err), 0);
	assert_true(bits_has(&done, 1));
	assert_false(bits_has(&done, 2) || bits_has(&done, 70000));
	assert_int_equal(joblog_read("none", true, &done, &err), 0);
	assert_int_equal(joblog_open("no/such/folder/log", &err), -1);
	assert_contains(err.text, "no/such/folder/log");
	bits_done(&done);
	buf_done(&rows);
}

/* ---- placeholders ---- */

static void test_placeholders_are_filled_as_gridexec_does(void **state)
{
	(void)state;
	static const struct {
		const char *argument, *item, *filled;
	} CASES[] = {
		{"{}", "a b", "a b"},	      {"x{}y{}", "1", "x1y1"},	     {"{.}", "d/a.b.c", "d/a.b"}, {"{.}", "d.x/a", "d.x/a"},
		{"{/}", "d/e/a.b", "a.b"},    {"{//}", "d/e/a", "d/e"},	     {"{//}", "a", "."},	  {"{//}", "/a", "/"},
		{"{/.}", "d/a.b", "a"},	      {"{#}-{}", "x", "7-x"},	     {"{2}{1}", "a\tb\tc", "ba"}, {"{3}", "a\tb", ""},
		{"{", "a", "{"},	      {"{0}{x}{1", "a", "{0}{x}{1"}, {"{{}}", "a", "{a}"},	  {"", "a", ""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct buf filled;
		buf_init(&filled, 1000);
		assert_int_equal(placeholders_fill(&filled, CASES[i].argument, CASES[i].item, strlen(CASES[i].item), 7), 0);
		assert_string_equal(buf_text(&filled), CASES[i].filled);
		buf_done(&filled);
	}
	assert_true(placeholders_of_item("x{9}") && placeholders_of_item("{#}{}") && placeholders_of_number("{#}"));
	assert_false(placeholders_of_item("{#}") || placeholders_of_item("{0}{") || placeholders_of_number("{}"));
}

static void test_placeholders_are_quoted_for_a_shell(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		size_t len;
		const char *quoted;
	} CASES[] = {{"plain-x/1.2,%:=@+", 17, "plain-x/1.2,%:=@+"}, {"", 0, "''"}, {"a b", 3, "'a b'"}, {"it's", 4, "'it'\\''s'"},
		     {"a\nb", 3, "$'a\\nb'"}, {"\x01'\\", 3, "$'\\x01\\'\\\\'"}, {"$x", 2, "'$x'"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct buf quoted;
		buf_init(&quoted, 1000);
		assert_int_equal(placeholders_quote(&quoted, CASES[i].text, CASES[i].len), 0);
		assert_string_equal(buf_text(&quoted), CASES[i].quoted);
		buf_done(&quoted);
	}
}

/* ---- words ---- */

static void test_words_are_a_command_and_groups(void **state)
{
	(void)state;
	static const char *const WORDS[] = {"cmd", "-x", ":::", "a", "b", ":::", ":::", "c"};
	struct run_words words;
	struct err err;
	assert_int_equal(run_words_split(&words, WORDS, 8, &err), 0);
	assert_int_equal(words.command_len, 2);
	assert_int_equal(words.group_count, 3);
	assert_int_equal(words.groups[0].count, 2);
	assert_string_equal(words.groups[0].arguments[1], "b");
	assert_int_equal(words.groups[1].count, 0);
	assert_string_equal(words.groups[2].arguments[0], "c");
	assert_int_equal(run_words_append(&words, &err), 0);
	assert_int_equal(words.command_len, 5);
	assert_string_equal(words.command[4], "{3}");
	run_words_done(&words);
	assert_int_equal(run_words_split(&words, WORDS + 2, 2, &err), ERR_INVALID);
	run_words_done(&words);
}

/* ---- results ---- */

static int read_result(struct run_result *result, const char *line)
{
	struct err err;
	return run_result_read(result, line, strlen(line), &err);
}

static void test_a_result_is_read(void **state)
{
	(void)state;
	struct run_result result;
	assert_int_equal(read_result(&result, "{\"seq\": 7, \"item\": \"i\", \"result_base64\": \"AP8=\", \"exit\": 0, \"seconds\": 0.5,"
					      " \"started\": 1.5, \"node\": \"n\", \"instance\": 0, \"attempt\": 2}"),
			 0);
	assert_int_equal(result.seq, 7);
	assert_int_equal(result.output_len, 2);
	assert_memory_equal(result.output, "\0\xff", 3);
	assert_string_equal(result.item, "i");
	assert_int_equal(result.attempt, 2);
	run_result_done(&result);
	assert_int_equal(read_result(&result, "{\"seqs\": [9, 3, 4], \"items\": 3, \"result\": \"a\\nb\\n\\n\"}"), 0);
	assert_true(result.batch && run_result_has_lines(&result));
	assert_int_equal(result.seq, 3);
	assert_int_equal(run_result_seq(&result, 0), 9);
	struct run_lines lines = run_result_lines(&result);
	const char *line;
	size_t len;
	assert_true(run_lines_next(&lines, &line, &len));
	assert_true(len == 2 && memcmp(line, "a\n", 2) == 0);
	run_result_done(&result);
	assert_int_equal(read_result(&result, "{\"seqs\": [1, 2], \"items\": 2, \"result\": \"a\\nb\\nc\\n\"}"), 0);
	assert_false(run_result_has_lines(&result));
	run_result_done(&result);
}

static void test_what_is_no_result_is_refused(void **state)
{
	(void)state;
	static const char *const BAD[] = {"",	 "x", "[]", "{}", "{\"seq\": 0}", "{\"seq\": \"1\"}", "{\"seqs\": []}", "{\"seqs\": [1, -2]}",
					  "{\"seq\": 1, \"result_base64\": \"A\"}", "{\"seq\": 1, \"item_base64\": \"A*==\"}"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct run_result result;
		assert_int_equal(read_result(&result, BAD[i]), ERR_PROTOCOL);
		run_result_done(&result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_halt_counts_what_it_names),
		cmocka_unit_test(test_halt_takes_a_share_from_three_on),
		cmocka_unit_test(test_halt_refuses_other_words),
		cmocka_unit_test(test_order_gives_each_in_its_turn),
		in_sandbox(test_order_spills_and_gives_the_disk_back),
		cmocka_unit_test(test_order_says_that_there_is_no_disk),
		cmocka_unit_test(test_tracker_knows_what_became_of_each),
		in_sandbox(test_joblog_is_read_as_it_was_written),
		cmocka_unit_test(test_placeholders_are_filled_as_gridexec_does),
		cmocka_unit_test(test_placeholders_are_quoted_for_a_shell),
		cmocka_unit_test(test_words_are_a_command_and_groups),
		cmocka_unit_test(test_a_result_is_read),
		cmocka_unit_test(test_what_is_no_result_is_refused),
	};
	return cmocka_run_group_tests_name("run_parts", tests, NULL, NULL);
}
