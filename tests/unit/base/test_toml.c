/* Protects the crossing from toml++ to C: order, types, lines, and errors that never quote the file. */
#include "base/toml_reader.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

struct seen {
	char text[2048];
};

static int on_value(void *context, const struct toml_value *value)
{
	struct seen *seen = context;
	size_t len = strlen(seen->text);
	char *at = seen->text + len;
	size_t size = sizeof(seen->text) - len;
	switch (value->type) {
	case TOML_STRING:
		(void)snprintf(at, size, "%d %s string %s\n", value->line, value->key, value->string);
		break;
	case TOML_INTEGER:
		(void)snprintf(at, size, "%d %s integer %lld\n", value->line, value->key, (long long)value->integer);
		break;
	case TOML_BOOLEAN:
		(void)snprintf(at, size, "%d %s boolean %d\n", value->line, value->key, (int)value->boolean);
		break;
	case TOML_STRINGS:
		(void)snprintf(at, size, "%d %s strings %zu %s\n", value->line, value->key, value->strings.count,
			       value->strings.count ? value->strings.items[value->strings.count - 1] : "-");
		break;
	case TOML_OTHER:
		(void)snprintf(at, size, "%d %s other %s\n", value->line, value->key, value->type_name);
		break;
	}
	return strcmp(value->key, "stop") == 0 ? 42 : 0;
}

static int read_text(const char *text, struct seen *seen, struct err *err)
{
	seen->text[0] = '\0';
	return toml_read(text, strlen(text), on_value, seen, err);
}

static void test_toml_hands_on_keys_in_the_order_of_the_file(void **state)
{
	(void)state;
	struct seen seen;
	assert_int_equal(read_text("# comment\nzebra = \"z\\u00e9\"\n\nalpha = -7\nmiddle = true\n"
				   "list = [\"a\", 'b c']\nempty = []\nhex = 0x1F\n",
				   &seen, NULL),
			 0);
	assert_string_equal(seen.text, "2 zebra string z\xc3\xa9\n4 alpha integer -7\n5 middle boolean 1\n"
				       "6 list strings 2 b c\n7 empty strings 0 -\n8 hex integer 31\n");
}

static void test_toml_names_the_types_that_nobody_wants(void **state)
{
	(void)state;
	struct seen seen;
	assert_int_equal(read_text("f = 1.5\nd = 2026-01-31\nm = [1, 2]\n[t]\nx = 1\n", &seen, NULL), 0);
	assert_string_equal(seen.text, "1 f other number with a fraction\n2 d other date or time\n3 m other array\n"
				       "4 t other table\n");
}

static void test_toml_errors_have_a_position_and_no_content(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *where;
	} CASES[] = {
		{"a = 1\ntoken = \"hunter2\n", "line 2, column "},
		{"token = hunter2\n", "line 1, column "},
		{"hunter2\n", "line 1, column "},
		{"a = 1\na = \"hunter2\"\n", "line 2, column "},
		{"\n\n[hunter2\n", "line 3, column "},
		{"a = 99999999999999999999\n", "line 1, column "},
		{"token = \"\xff\xfehunter2\"\n", "line 1, column "},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct seen seen;
		struct err err = {0};
		assert_int_equal(read_text(CASES[i].text, &seen, &err), ERR_INVALID);
		assert_contains(err.text, CASES[i].where);
		assert_lacks(err.text, "hunter2");
	}
}

static void test_toml_ends_where_the_receiver_says_so(void **state)
{
	(void)state;
	struct seen seen;
	assert_int_equal(read_text("a = 1\nstop = 2\nb = 3\n", &seen, NULL), 42);
	assert_string_equal(seen.text, "1 a integer 1\n2 stop integer 2\n");
}

static void test_toml_reads_an_empty_file_and_one_with_crlf(void **state)
{
	(void)state;
	struct seen seen;
	assert_int_equal(read_text("", &seen, NULL), 0);
	assert_string_equal(seen.text, "");
	assert_int_equal(read_text("\xef\xbb\xbf" "a = 1\r\n# c\r\nb = \"x\"\r\n", &seen, NULL), 0);
	assert_string_equal(seen.text, "1 a integer 1\n3 b string x\n");
}

static void test_toml_deep_nesting_is_an_error_and_no_crash(void **state)
{
	(void)state;
	static char text[20002];
	text[0] = 'a';
	text[1] = '=';
	memset(text + 2, '[', sizeof(text) - 3);
	struct seen seen;
	struct err err = {0};
	assert_int_equal(read_text(text, &seen, &err), ERR_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_toml_hands_on_keys_in_the_order_of_the_file),
		cmocka_unit_test(test_toml_names_the_types_that_nobody_wants),
		cmocka_unit_test(test_toml_errors_have_a_position_and_no_content),
		cmocka_unit_test(test_toml_ends_where_the_receiver_says_so),
		cmocka_unit_test(test_toml_reads_an_empty_file_and_one_with_crlf),
		cmocka_unit_test(test_toml_deep_nesting_is_an_error_and_no_crash),
	};
	return cmocka_run_group_tests_name("toml", tests, NULL, NULL);
}
