/* Protects embedded texts: every byte of the file arrives, with a NUL behind. Works on a script of its own, and reads the
 * same file again. */
#include "../support.h"

#include "embedded_samples.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_embed_holds_every_byte_of_the_file(void **state)
{
	(void)state;
	char *text = read_file(EMBEDDED_FOLDER "/sample.lua");
	assert_int_equal(embedded_sample_lua_len, strlen(text));
	assert_string_equal(embedded_sample_lua, text);
	free(text);
}

static void test_embed_takes_an_empty_file(void **state)
{
	(void)state;
	assert_int_equal(embedded_nothing_lua_len, 0);
	assert_int_equal(sizeof(embedded_nothing_lua), 1);
	assert_string_equal(embedded_nothing_lua, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_embed_holds_every_byte_of_the_file),
		cmocka_unit_test(test_embed_takes_an_empty_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
