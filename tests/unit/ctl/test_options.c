/* Protects the reading of command lines: forms, bounds, what is unknown, and where a person's own command begins. */
#include "ctl/options.h"

#include "support.h"

#include <stdio.h>
#include <string.h>

struct sample {
	bool flag, other;
	const char *text, *choice;
	struct option_texts texts;
	int64_t number, time_ms, size;
};

#define FIELD(name) offsetof(struct sample, name)

static const struct option_row ROWS[] = {
	{.name = "flag", .letter = 'f', .type = OPTION_FLAG, .offset = FIELD(flag), .help = ""},
	{.name = "other", .letter = 'o', .type = OPTION_FLAG, .offset = FIELD(other), .help = ""},
	{.name = "text", .letter = 't', .type = OPTION_TEXT, .offset = FIELD(text), .argument = "TEXT", .help = ""},
	{.name = "choice", .type = OPTION_TEXT, .offset = FIELD(choice), .argument = "C", .choices = "plain json", .help = ""},
	{.name = "texts", .type = OPTION_TEXTS, .offset = FIELD(texts), .argument = "TEXT", .help = ""},
	{.name = "number", .letter = 'n', .type = OPTION_INTEGER, .offset = FIELD(number), .argument = "N", .min = -3, .max = 10, .help = ""},
	{.name = "time", .type = OPTION_SECONDS, .offset = FIELD(time_ms), .argument = "S", .help = ""},
	{.name = "size", .type = OPTION_BYTES, .offset = FIELD(size), .argument = "B", .min = 1, .max = 1 << 20, .help = ""},
};

static const struct option_table TABLE = {ROWS, sizeof(ROWS) / sizeof(ROWS[0])};

static struct sample sample;
static struct option_parse parse;
static struct err err;

/* The words are separated by spaces. */
static int read_line(const char *line, bool stop_at_operand)
{
	static char copy[512];
	static const char *words[64];
	size_t count = 0;
	options_free_texts(&sample.texts);
	options_done(&parse);
	memset(&sample, 0, sizeof(sample));
	memset(&err, 0, sizeof(err));
	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		words[count++] = word;
	parse = (struct option_parse){.targets = {{&TABLE, &sample}}, .target_count = 1, .stop_at_operand = stop_at_operand};
	return options_parse(&parse, words, count, &err);
}

static void assert_refused(const char *line, const char *text)
{
	assert_int_equal(read_line(line, false), ERR_INVALID);
	assert_string_equal(err.text, text);
}

static int teardown(void **state)
{
	(void)state;
	options_free_texts(&sample.texts);
	options_done(&parse);
	return 0;
}

static void test_options_are_read_in_every_form(void **state)
{
	(void)state;
	assert_int_equal(read_line("-f --text=a=b x -n -3 --time 1.5 y --size 64K --texts 1 --texts=2", false), 0);
	assert_true(sample.flag);
	assert_false(sample.other);
	assert_string_equal(sample.text, "a=b");
	assert_int_equal(sample.number, -3);
	assert_int_equal(sample.time_ms, 1500);
	assert_int_equal(sample.size, 65536);
	assert_int_equal(sample.texts.count, 2);
	assert_string_equal(sample.texts.items[1], "2");
	assert_int_equal(parse.operand_count, 2);
	assert_string_equal(parse.operands[1], "y");

	assert_int_equal(read_line("-fot x -n7", false), 0);
	assert_true(sample.flag && sample.other);
	assert_string_equal(sample.text, "x");
	assert_int_equal(sample.number, 7);
	assert_int_equal(read_line("-tfo --text last --text=", false), 0);
	assert_string_equal(sample.text, "");
	assert_false(sample.flag);
}

static void test_options_end_at_two_dashes(void **state)
{
	(void)state;
	assert_int_equal(read_line("-f -- -o --text - x", false), 0);
	assert_false(sample.other);
	assert_int_equal(parse.operand_count, 4);
	assert_string_equal(parse.operands[0], "-o");
	assert_int_equal(read_line("-", false), 0);
	assert_int_equal(parse.operand_count, 1);
}

static void test_options_leave_a_command_alone(void **state)
{
	(void)state;
	assert_int_equal(read_line("-f ./simulate --unknown -o ::: a", true), 0);
	assert_false(sample.other);
	assert_int_equal(parse.operand_count, 5);
	assert_string_equal(parse.operands[1], "--unknown");
	assert_int_equal(read_line("-f -- -o", true), 0);
	assert_int_equal(parse.operand_count, 1);
}

static void test_options_name_what_is_wrong(void **state)
{
	(void)state;
	assert_refused("--flog", "unknown option --flog; did you mean --flag?");
	assert_refused("--completely-different", "unknown option --completely-different");
	assert_refused("-x", "unknown option -x");
	assert_refused("--flag=yes", "--flag takes no value");
	assert_refused("--text", "--text needs a value: --text TEXT");
	assert_refused("-n", "-n needs a value: -n N");
	assert_refused("--number 11", "--number must be from -3 to 10");
	assert_refused("-n 1x", "--number must be a whole number, not \"1x\"");
	assert_refused("-n 99999999999999999999", "--number must be a whole number, not \"99999999999999999999\"");
	assert_refused("--time soon", "--time must be a time, as 10, 1.5, 500ms, 5m or 2h, not \"soon\"");
	assert_refused("--time -1", "--time must be a time, as 10, 1.5, 500ms, 5m or 2h, not \"-1\"");
	assert_refused("--size 2M", "--size must be from 1 to 1.04858e+06 bytes");
	assert_refused("--choice xml", "--choice must be one of: plain json");
	assert_refused("--choice plai", "--choice must be one of: plain json");
	assert_int_equal(read_line("--choice json", false), 0);
}

static void test_options_read_times_and_sizes(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		int64_t ms;
	} times[] = {{"0", 0}, {"10", 10000}, {".5", 500}, {"250ms", 250}, {"5m", 300000}, {"2h", 7200000}, {"1d", 86400000}, {"1min", 60000}};
	static const struct {
		const char *text;
		int64_t bytes;
	} sizes[] = {{"512", 512}, {"1k", 1024}, {"1.5M", 1572864}, {"2G", 2147483648}, {"7B", 7}};
	static const char *const not_times[] = {"", ".", "1y", "inf", "nan", "0x10", "1e3", " 1", "1 s", "+1", "1.2.3", "99999999999999d"};
	int64_t value;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		assert_true(options_read_seconds(times[i].text, &value));
		assert_int_equal(value, times[i].ms);
	}
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		assert_true(options_read_bytes(sizes[i].text, &value));
		assert_int_equal(value, sizes[i].bytes);
	}
	for (size_t i = 0; i < sizeof(not_times) / sizeof(not_times[0]); i++)
		assert_false(options_read_seconds(not_times[i], &value));
}

static void test_options_suggest_the_nearest(void **state)
{
	(void)state;
	static const char *const names[] = {"tasks", "task", "nodes", "node stop", "resume", "results"};
	static const struct {
		const char *typed, *meant;
	} cases[] = {{"taks", "tasks"}, {"ndes", "nodes"}, {"resum", "resume"}, {"resu", "resume"}, {"node stpo", "node stop"},
		     {"xyz", NULL}, {"", NULL}, {"t", NULL}};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct option_nearest nearest = {NULL, 0};
		for (size_t j = 0; j < sizeof(names) / sizeof(names[0]); j++)
			options_consider(&nearest, cases[i].typed, names[j]);
		if (cases[i].meant)
			assert_string_equal(nearest.name, cases[i].meant);
		else
			assert_null(nearest.name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_options_are_read_in_every_form), cmocka_unit_test(test_options_end_at_two_dashes),
		cmocka_unit_test(test_options_leave_a_command_alone),  cmocka_unit_test(test_options_name_what_is_wrong),
		cmocka_unit_test(test_options_read_times_and_sizes),   cmocka_unit_test(test_options_suggest_the_nearest),
	};
	return cmocka_run_group_tests_name("options", tests, NULL, teardown);
}
