/* Protects ids and secrets: their form, that no two are alike, and that comparison lets only the same text through. */
#include "base/random.h"

#include "support.h"

#include <string.h>

static void test_random_uuid_is_a_version_4_uuid(void **state)
{
	(void)state;
	for (int i = 0; i < 1000; i++) {
		char uuid[UUID_SIZE];
		random_uuid(uuid);
		assert_int_equal(strlen(uuid), UUID_SIZE - 1);
		assert_true(uuid_is_valid(uuid));
		assert_int_equal(uuid[14], '4');
		assert_non_null(strchr("89ab", uuid[19]));
	}
}

static void test_random_uuids_differ(void **state)
{
	(void)state;
	char uuids[200][UUID_SIZE];
	for (int i = 0; i < 200; i++) {
		random_uuid(uuids[i]);
		for (int j = 0; j < i; j++)
			assert_string_not_equal(uuids[i], uuids[j]);
	}
}

static void test_uuid_is_valid_refuses_what_is_none(void **state)
{
	(void)state;
	assert_true(uuid_is_valid("0123ABCD-4567-4abc-8def-0123456789ab"));
	assert_false(uuid_is_valid(""));
	assert_false(uuid_is_valid("0123abcd"));
	assert_false(uuid_is_valid("0123abcd-4567-4abc-8def-0123456789a"));
	assert_false(uuid_is_valid("0123abcd-4567-4abc-8def-0123456789ab0"));
	assert_false(uuid_is_valid("0123abcd-4567-4abc-8def-0123456789ag"));
	assert_false(uuid_is_valid("0123abcd04567-4abc-8def-0123456789ab"));
	assert_false(uuid_is_valid("{0123abcd-4567-4abc-8def-0123456789a"));
}

static void test_random_tokens_are_url_safe_and_differ(void **state)
{
	(void)state;
	char first[TOKEN_SIZE];
	random_token(first);
	unsigned seen[256] = {0};
	for (int i = 0; i < 500; i++) {
		char token[TOKEN_SIZE];
		random_token(token);
		assert_int_equal(strlen(token), TOKEN_SIZE - 1);
		assert_int_equal(strspn(token, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"),
				 TOKEN_SIZE - 1);
		assert_string_not_equal(token, first);
		for (const char *c = token; *c; c++)
			seen[(unsigned char)*c]++;
	}
	unsigned letters = 0;
	for (size_t i = 0; i < 256; i++)
		letters += seen[i] > 0;
	assert_int_equal(letters, 64); /* all of the alphabet is used */
}

static void test_random_bytes_fills_every_byte(void **state)
{
	(void)state;
	unsigned char bytes[1000];
	unsigned char ored[1000] = {0};
	for (int i = 0; i < 20; i++) {
		random_bytes(bytes, sizeof(bytes));
		for (size_t j = 0; j < sizeof(bytes); j++)
			ored[j] |= bytes[j];
	}
	for (size_t j = 0; j < sizeof(ored); j++)
		assert_int_not_equal(ored[j], 0);
}

static void test_secret_equal_lets_only_the_same_text_through(void **state)
{
	(void)state;
	assert_true(secret_equal("correct horse", "correct horse", 13));
	assert_false(secret_equal("correct horse", "correct hors", 12));
	assert_false(secret_equal("correct horse", "correct horse!", 14));
	assert_false(secret_equal("correct horse", "correct horse", 12));
	assert_false(secret_equal("correct horse", "Correct horse", 13));
	assert_false(secret_equal("correct horse", "", 0));
	assert_false(secret_equal("correct horse", "correct horse\0", 14));
	/* A repetition of the secret looks the same byte by byte. */
	assert_false(secret_equal("abcabc", "abcabcabcabc", 12));
	assert_false(secret_equal("abcabc", "abc", 3));
}

static void test_secret_equal_never_lets_an_empty_secret_through(void **state)
{
	(void)state;
	assert_false(secret_equal("", "", 0));
	assert_false(secret_equal("", "x", 1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_uuid_is_a_version_4_uuid),
		cmocka_unit_test(test_random_uuids_differ),
		cmocka_unit_test(test_uuid_is_valid_refuses_what_is_none),
		cmocka_unit_test(test_random_tokens_are_url_safe_and_differ),
		cmocka_unit_test(test_random_bytes_fills_every_byte),
		cmocka_unit_test(test_secret_equal_lets_only_the_same_text_through),
		cmocka_unit_test(test_secret_equal_never_lets_an_empty_secret_through),
	};
	return cmocka_run_group_tests_name("random", tests, NULL, NULL);
}
