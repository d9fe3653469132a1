/* Protects the table of writes (R11): which commands, with how many arguments, on which keys; everything else is refused. */
#include "proto/write_commands.h"

#include "support.h"

#include <string.h>

enum { ARGS_MAX = 8 };

static int check_on(const struct write_targets *targets, const char *line, struct err *err)
{
	char copy[128];
	struct write_arg args[ARGS_MAX];
	size_t count = 0;
	(void)strncpy(copy, line, sizeof(copy) - 1);
	copy[sizeof(copy) - 1] = '\0';
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " "))
		args[count++] = (struct write_arg){.bytes = word, .len = strlen(word)};
	return write_command_check(args, count, targets, err);
}

static const struct write_targets TARGETS = {.input_queue = "in", .output_queue = "out"};

static void test_write_commands_that_may_be_made(void **state)
{
	(void)state;
	static const char *const GOOD[] = {
		"LPUSH out v", "rpush out a b c", "SADD out:set a", "HSET out:h f v", "HSET out f v g w", "ZADD out:z 1 a 2 b",
		"XADD out:s * f v", "XADD out:s * f v g w", "SET out:k v", "APPEND out v", "LPUSH in again", "RPUSH in a b",
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct err err = {0};
		if (check_on(&TARGETS, GOOD[i], &err))
			fail_msg("%s: %s", GOOD[i], err.text);
	}
}

static void test_write_commands_that_may_not(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"", "DEL out", "GET out", "LPUSH", "LPUSH out", "LPUSHX out v", "LPUS out v", "HSET out f", "HSET out f v g", "ZADD out 1",
		"ZADD out NX 1 a", "XADD out 1-1 f v", "XADD out * f", "XADD out MAXLEN 5 * f v", "SET out v EX 5", "SET out", "APPEND out",
		"APPEND out a b", "LPUSH outer v", "LPUSH ou v", "LPUSH o v", "SADD in v", "SET in v", "LPUSH in:x v", "LPUSH elsewhere v",
		"LPUSH out:idm:applied v", "HSET out:idm:x f v", "LPUSH out:a:idm:b v", "LPUSH {in}:idm:retry v",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct err err = {0};
		if (check_on(&TARGETS, BAD[i], &err) != ERR_INVALID)
			fail_msg("taken: %s", BAD[i]);
		assert_true(err.text[0]);
	}
}

static void test_write_commands_without_an_output_queue(void **state)
{
	(void)state;
	const struct write_targets none = {.input_queue = "in", .output_queue = NULL};
	const struct write_targets empty = {.input_queue = "in", .output_queue = ""};
	struct err err = {0};
	assert_int_equal(check_on(&none, "LPUSH out v", &err), ERR_INVALID);
	assert_int_equal(check_on(&none, "LPUSH : v", &err), ERR_INVALID);
	assert_int_equal(check_on(&empty, "LPUSH :x v", &err), ERR_INVALID);
	assert_int_equal(check_on(&none, "LPUSH in v", &err), 0);
}

static void test_write_commands_quote_nothing_of_the_peers(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(check_on(&TARGETS, "LPUSH secretkey secretvalue", &err), ERR_INVALID);
	assert_lacks(err.text, "secret");
	assert_int_equal(check_on(&TARGETS, "SECRETCMD out v", &err), ERR_INVALID);
	assert_lacks(err.text, "SECRET");
}

static void test_write_commands_keys_are_bytes(void **state)
{
	(void)state;
	struct err err = {0};
	const struct write_arg zero[] = {{"LPUSH", 5}, {"out\0x", 5}, {"v", 1}};
	const struct write_arg name[] = {{"LPUSH\0", 6}, {"out", 3}, {"v", 1}};
	assert_int_equal(write_command_check(zero, 3, &TARGETS, &err), ERR_INVALID);
	assert_int_equal(write_command_check(name, 3, &TARGETS, &err), ERR_INVALID);
}

static size_t elements(const char *name, size_t count)
{
	return write_command_elements(write_command_find(name, strlen(name)), count);
}

static void test_write_commands_count_their_elements(void **state)
{
	(void)state;
	assert_int_equal(elements("LPUSH", 3), 1);
	assert_int_equal(elements("LPUSH", 5), 3);
	assert_int_equal(elements("hset", 4), 1);
	assert_int_equal(elements("HSET", 8), 3);
	assert_int_equal(elements("SET", 3), 1);
	assert_null(write_command_find("GET", 3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_write_commands_that_may_be_made),
		cmocka_unit_test(test_write_commands_that_may_not),
		cmocka_unit_test(test_write_commands_without_an_output_queue),
		cmocka_unit_test(test_write_commands_quote_nothing_of_the_peers),
		cmocka_unit_test(test_write_commands_keys_are_bytes),
		cmocka_unit_test(test_write_commands_count_their_elements),
	};
	return cmocka_run_group_tests_name("write_commands", tests, NULL, NULL);
}
