/* Protects placeholders: what GNU parallel 20221122 makes of the same words. */
#include "exec/template.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

#define WORDS(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *)

static struct item item_of(const char *text)
{
	return (struct item){.bytes = text, .len = strlen(text)};
}

/* The arguments, each in brackets; free() it. Fails the test if the item cannot be an argument. */
static char *expanded(const char *const *words, size_t count, const struct item *item)
{
	struct template template;
	struct arguments arguments;
	struct err err = {0};
	struct buf text;
	buf_init(&text, 4096);
	arguments_init(&arguments);
	assert_int_equal(template_init(&template, words, count, &err), 0);
	assert_int_equal(template_expand(&template, item, &arguments, &err), 0);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(buf_printf(&text, "[%s]", arguments.argv[i]), 0);
	assert_null(arguments.argv[count]);
	arguments_done(&arguments);
	template_done(&template);
	return buf_steal(&text);
}

static void check(const char *word, const char *item, const char *expected)
{
	struct item of = item_of(item);
	char *text = expanded(WORDS(word), &of);
	assert_string_equal(text, expected);
	free(text);
}

static void test_paths_are_taken_apart_as_gnu_parallel_does(void **state)
{
	(void)state;
	/* Columns: {} {.} {/} {//} {/.}, as `parallel --plain echo` printed them. */
	static const char *const CASES[][2] = {
		{"foo.jpg", "[foo.jpg|foo|foo.jpg|.|foo]"},
		{"subdir/foo.jpg", "[subdir/foo.jpg|subdir/foo|foo.jpg|subdir|foo]"},
		{"sub.dir/foo.jpg", "[sub.dir/foo.jpg|sub.dir/foo|foo.jpg|sub.dir|foo]"},
		{"sub.dir/bar", "[sub.dir/bar|sub.dir/bar|bar|sub.dir|bar]"},
		{".bashrc", "[.bashrc||.bashrc|.|]"},
		{"a/.x", "[a/.x|a/|.x|a|]"},
		{"foo.", "[foo.|foo|foo.|.|foo]"},
		{"x.tar.gz", "[x.tar.gz|x.tar|x.tar.gz|.|x.tar]"},
		{"a/b/", "[a/b/|a/b/||a|]"},
		{"a/b//", "[a/b//|a/b//||a|]"},
		{"a/", "[a/|a/||.|]"},
		{"a//b", "[a//b|a//b|b|a|b]"},
		{"//a", "[//a|//a|a|/|a]"},
		{"/", "[/|/||/|]"},
		{"//", "[//|//||/|]"},
		{"", "[|||.|]"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++)
		check("{}|{.}|{/}|{//}|{/.}", CASES[i][0], CASES[i][1]);
}

static void test_placeholders_stand_anywhere(void **state)
{
	(void)state;
	check("--in={}", "a b", "[--in=a b]");
	check("{}{}", "x", "[xx]");
	check("{.}.png", "dir/p.jpg", "[dir/p.png]");
	check("a{}b{/}c", "d/e", "[ad/ebec]");
	check("{}", "", "[]");
	check("{{}}", "x", "[{x}]");
	struct item item = item_of("i.t");
	char *text = expanded(WORDS("cmd", "", "-o", "{.}", "{}"), &item);
	assert_string_equal(text, "[cmd][][-o][i][i.t]");
	free(text);
}

static void test_other_braces_are_text(void **state)
{
	(void)state;
	check("{ }", "x", "[{ }]");
	check("{0}{10}{1.}{x}{", "x", "[{0}{10}{1.}{x}{]");
	check("}{", "x", "[}{]");
	check("${HOME} $(id) `id`", "x", "[${HOME} $(id) `id`]");
	check("{}", "{/} {}", "[{/} {}]"); /* an item is never looked into */
}

static void test_columns_are_cut_at_tabs(void **state)
{
	(void)state;
	check("{1}-{2}-{3}", "a\tb c\td", "[a-b c-d]");
	check("{2}", "a", "[]");
	check("{1}{3}", "a\t\t", "[a]");
	check("{3}", "\t\tz\ty", "[z]");
	check("{9}", "1\t2\t3\t4\t5\t6\t7\t8\t9\t10", "[9]");
	check("{}", "a\tb", "[a\tb]");
	check("{1}", "", "[]");
}

static void test_number_is_that_of_the_item(void **state)
{
	(void)state;
	struct item item = item_of("x");
	item.has_seq = true;
	item.seq = 999999999999999999;
	char *text = expanded(WORDS("n{#}", "{}"), &item);
	assert_string_equal(text, "[n999999999999999999][x]");
	free(text);
}

static void test_template_knows_what_it_takes(void **state)
{
	(void)state;
	static const struct {
		const char *word;
		bool takes_item, varies;
	} CASES[] = {{"plain", false, false}, {"{#}", false, true}, {"a{}", true, true},  {"{.}", true, true}, {"{/}", true, true},
		     {"{//}", true, true},    {"{/.}", true, true}, {"{3}", true, true}, {"{x}", false, false}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct template template;
		assert_int_equal(template_init(&template, WORDS("c", CASES[i].word), NULL), 0);
		assert_int_equal(template.takes_item, CASES[i].takes_item);
		assert_int_equal(template.varies, CASES[i].varies);
		template_done(&template);
	}
}

static void expect_refusal(const char *word, const char *bytes, size_t len, const char *message)
{
	struct template template;
	struct arguments arguments;
	struct err err = {0};
	struct item item = {.bytes = bytes, .len = len};
	arguments_init(&arguments);
	assert_int_equal(template_init(&template, WORDS("c", word), &err), 0);
	assert_int_equal(template_expand(&template, &item, &arguments, &err), ERR_INVALID);
	assert_string_equal(err.text, message);
	/* The next one is none the worse. */
	item = item_of("good");
	assert_int_equal(template_expand(&template, &item, &arguments, &err), 0);
	assert_string_equal(arguments.argv[0], "c");
	arguments_done(&arguments);
	template_done(&template);
}

static void test_what_cannot_be_an_argument_is_refused(void **state)
{
	(void)state;
	expect_refusal("{}", "a\0b", 3, "the item contains NUL: it cannot be an argument");
	expect_refusal("{}", "\0", 1, "the item contains NUL: it cannot be an argument");
	expect_refusal("x{2}", "a\tb\0", 4, "the item contains NUL: it cannot be an argument");
	size_t len = 16 * 1024 * 1024;
	char *large = malloc(len);
	memset(large, 'x', len);
	expect_refusal("{}", large, len, "the item is too long for an argument");
	free(large);
}

static void test_expansion_survives_lack_of_memory(void **state)
{
	(void)state;
	struct item item = item_of("dir/some file.txt");
	unsigned n = 0;
	bool reached;
	do {
		struct template template;
		struct arguments arguments;
		struct err err = {0};
		arguments_init(&arguments);
		fault_arm(++n);
		int rc = template_init(&template, WORDS("c", "{}{//}", "{/.}"), &err);
		if (!rc)
			rc = template_expand(&template, &item, &arguments, &err);
		reached = fault_disarm();
		assert_int_equal(rc, reached ? ERR_NOMEM : 0);
		arguments_done(&arguments);
		template_done(&template);
	} while (reached);
	assert_true(n > 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_paths_are_taken_apart_as_gnu_parallel_does),
		cmocka_unit_test(test_placeholders_stand_anywhere),
		cmocka_unit_test(test_other_braces_are_text),
		cmocka_unit_test(test_columns_are_cut_at_tabs),
		cmocka_unit_test(test_number_is_that_of_the_item),
		cmocka_unit_test(test_template_knows_what_it_takes),
		cmocka_unit_test(test_what_cannot_be_an_argument_is_refused),
		cmocka_unit_test(test_expansion_survives_lack_of_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
