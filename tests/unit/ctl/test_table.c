/* Protects what a terminal is shown: widths of wide and combining characters, cutting, nothing that commands the terminal; and
 * the words for times. */
#include "ctl/table.h"

#include "base/buf.h"
#include "ctl/moments.h"
#include "ctl/shown.h"

#include "support.h"

#include <stdlib.h>
#include <string.h>

static const char *show(const char *text, size_t width)
{
	static char result[256];
	struct buf buf;
	buf_init(&buf, sizeof(result) - 1);
	shown_add(&buf, text, width);
	(void)strcpy(result, buf_text(&buf));
	buf_done(&buf);
	return result;
}

static void test_shown_counts_columns(void **state)
{
	(void)state;
	assert_int_equal(shown_width(""), 0);
	assert_int_equal(shown_width("abc"), 3);
	assert_int_equal(shown_width("\xe4\xbb\xbb\xe5\x8a\xa1"), 4);   /* two Chinese characters */
	assert_int_equal(shown_width("e\xcc\x81"), 1);                  /* a combining accent */
	assert_int_equal(shown_width("\xff\xfe"), 2);                   /* no UTF-8 */
	assert_int_equal(shown_width("a\033[31mb"), 7);
}

static void test_shown_cuts_at_a_width(void **state)
{
	(void)state;
	assert_string_equal(show("abcdef", 6), "abcdef");
	assert_string_equal(show("abcdef", 5), "abcd\xe2\x80\xa6");
	assert_string_equal(show("abcdef", 1), "\xe2\x80\xa6");
	assert_string_equal(show("\xe4\xbb\xbb\xe5\x8a\xa1\xe5\x90\x8d", 6), "\xe4\xbb\xbb\xe5\x8a\xa1\xe5\x90\x8d");
	assert_string_equal(show("\xe4\xbb\xbb\xe5\x8a\xa1\xe5\x90\x8d", 5), "\xe4\xbb\xbb\xe5\x8a\xa1\xe2\x80\xa6");
	assert_string_equal(show("\xe4\xbb\xbb\xe5\x8a\xa1\xe5\x90\x8d", 4), "\xe4\xbb\xbb\xe2\x80\xa6"); /* half a character does not fit */
}

static void test_shown_commands_no_terminal(void **state)
{
	(void)state;
	assert_string_equal(show("a\033]0;owned\007b\x7f", 0), "a?]0;owned?b?");
	assert_string_equal(show("one\ntwo\tthree\r", 0), "one two three?");
	assert_string_equal(show("\xc2\x9b" "31m", 0), "?31m");               /* CSI as one character of Latin 1 */
	assert_string_equal(show("\xe2\x80\xae" "txt", 0), "?txt");           /* right-to-left override */
	assert_string_equal(show("\xc0\xaf \xed\xa0\x80 \xf5\x80", 0), "?? ??? ??"); /* overlong, a surrogate, too large */
	assert_string_equal(show("cut \xe4\xbb", 0), "cut ??");
}

static void test_shown_lines_keep_their_ends(void **state)
{
	(void)state;
	struct buf buf;
	buf_init(&buf, 100);
	shown_add_lines(&buf, "one\r\n\ttwo\033\n\nend", "| ");
	assert_string_equal(buf_text(&buf), "| one\n| \ttwo?\n| \n| end\n");
	buf_done(&buf);
}

static char *print(const struct table *table, int columns, bool colors)
{
	char *text = NULL;
	size_t len = 0;
	FILE *out = open_memstream(&text, &len);
	const struct terminal terminal = {.is_one = columns > 0, .columns = columns, .colors = colors};
	assert_non_null(out);
	assert_int_equal(table_print(table, out, &terminal), 0);
	(void)fclose(out);
	return text;
}

static const struct table_column COLUMNS[] = {{.title = "NAME", .shrinks = true}, {.title = "N", .right = true}, {.title = "WHY", .shrinks = true}};

static struct table *sample(void)
{
	struct table *table = table_new(COLUMNS, 3);
	table_add(table, STYLE_PLAIN, "\xe4\xbb\xbb\xe5\x8a\xa1-one");
	table_add(table, STYLE_BAD, "%d", 5);
	table_add(table, STYLE_PLAIN, "a reason that is rather long");
	table_add(table, STYLE_PLAIN, "b");
	table_add(table, STYLE_PLAIN, "%d", 12345);
	table_add(table, STYLE_PLAIN, "%s", "");
	return table;
}

static void test_table_columns_are_as_wide_as_their_cells(void **state)
{
	(void)state;
	struct table *table = sample();
	char *text = print(table, 0, false);
	assert_string_equal(text, "NAME          N  WHY\n"
				  "\xe4\xbb\xbb\xe5\x8a\xa1-one      5  a reason that is rather long\n"
				  "b         12345\n");
	assert_int_equal(table_rows(table), 2);
	free(text);
	table_free(table);
}

static void test_table_fits_the_terminal(void **state)
{
	(void)state;
	struct table *table = sample();
	char *text = print(table, 30, false);
	assert_contains(text, "\n\xe4\xbb\xbb\xe5\x8a\xa1-one      5  a reason tha\xe2\x80\xa6\n");
	free(text);
	text = print(table, 3, false); /* no column goes below what can be read */
	assert_contains(text, "a \xe2\x80\xa6");
	free(text);
	table_free(table);
}

static void test_table_has_colors_where_they_are_known(void **state)
{
	(void)state;
	struct table *table = sample();
	char *text = print(table, 80, true);
	assert_contains(text, "\033[1mNAME\033[0m");
	assert_contains(text, "    \033[31m5\033[0m  a reason");
	free(text);
	text = print(table, 80, false);
	assert_lacks(text, "\033");
	free(text);
	table_free(table);
}

static void test_moments_are_read_and_said(void **state)
{
	(void)state;
	char text[MOMENT_TEXT_SIZE];
	int64_t ms = 0;
	assert_true(moment_parse("2026-01-31T23:59:59.250Z", &ms));
	assert_true(ms == 1769903999250);
	assert_true(moment_parse("1970-01-01T00:00:01Z", &ms));
	assert_true(ms == 1000);
	assert_false(moment_parse("", &ms));
	assert_false(moment_parse("yesterday", &ms));
	static const struct {
		int64_t passed_ms;
		const char *text;
	} ages[] = {{-5000, "now"}, {999, "now"}, {1000, "1 s ago"}, {119999, "119 s ago"}, {120000, "2 min ago"},
		    {7199999, "119 min ago"}, {7200000, "2 h ago"}, {172800000, "2 d ago"}};
	for (size_t i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		moment_ago(1000000000, 1000000000 + ages[i].passed_ms, text);
		assert_string_equal(text, ages[i].text);
	}
	static const struct {
		double seconds;
		const char *text;
	} lengths[] = {{-1, "0.0 s"}, {0.44, "0.4 s"}, {9.96, "10 s"}, {119.4, "119 s"}, {200, "3 min 20 s"},
		       {3599.6, "1 h 00 min"}, {7500, "2 h 05 min"}, {180000, "2 d 2 h"}, {1e300, "11574074 d 1 h"}};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		moment_duration(lengths[i].seconds, text);
		assert_string_equal(text, lengths[i].text);
	}
}

static int setup(void **state)
{
	(void)state;
	shown_begin();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_shown_counts_columns),
		cmocka_unit_test(test_shown_cuts_at_a_width),
		cmocka_unit_test(test_shown_commands_no_terminal),
		cmocka_unit_test(test_shown_lines_keep_their_ends),
		cmocka_unit_test(test_table_columns_are_as_wide_as_their_cells),
		cmocka_unit_test(test_table_fits_the_terminal),
		cmocka_unit_test(test_table_has_colors_where_they_are_known),
		cmocka_unit_test(test_moments_are_read_and_said),
	};
	return cmocka_run_group_tests_name("table", tests, setup, NULL);
}
