/* Protects the reading of the gateway's address, and that nothing of it stays in the environment. */
#include "exec/gateway_address.h"

#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void expect(const char *url, const char *host, unsigned port, const char *password)
{
	struct gateway_address address;
	struct err err = {0};
	assert_int_equal(gateway_address_parse(url, &address, &err), 0);
	char text[INET6_ADDRSTRLEN];
	bool ipv6 = address.address.ss_family == AF_INET6;
	const struct sockaddr_in *four = (const struct sockaddr_in *)&address.address;
	const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)&address.address;
	assert_non_null(inet_ntop(address.address.ss_family, ipv6 ? (const void *)&six->sin6_addr : &four->sin_addr, text, sizeof(text)));
	assert_string_equal(text, host);
	assert_int_equal(ntohs(ipv6 ? six->sin6_port : four->sin_port), port);
	assert_string_equal(address.password, password);
	gateway_address_forget(&address);
	assert_string_equal(address.password, "");
}

static void test_addresses_are_read(void **state)
{
	(void)state;
	expect("redis://:secret@127.0.0.1:6379/0", "127.0.0.1", 6379, "secret");
	expect("redis://:a%40%2fb@10.0.0.1:1/0", "10.0.0.1", 1, "a@/b");
	expect("redis://default:p@[::1]:7000", "::1", 7000, "p");
	expect("redis://localhost", "127.0.0.1", 6379, "");
}

static void test_other_forms_are_refused_without_a_word_of_them(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"", "hunter2", "rediss://:hunter2@127.0.0.1:1", "redis://:hunter2@name:1", "redis://:hunter2@127.0.0.1:0",
		"redis://:hunter2@127.0.0.1:65536", "redis://:hunter2@127.0.0.1:x", "redis://:hunter2@127.0.0.1:1x",
		"redis://hunter2@127.0.0.1:1", "redis://:hunter2%@127.0.0.1:1", "redis://:hunter2%4@127.0.0.1:1",
		"redis://:hunter2%zz@127.0.0.1:1", "redis://:hunter2%00@127.0.0.1:1", "redis://:hunter2@[::1:1", "redis://:hunter2@",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct gateway_address address;
		struct err err = {0};
		assert_int_equal(gateway_address_parse(BAD[i], &address, &err), ERR_INVALID);
		assert_lacks(err.text, "hunter2");
	}
}

static void test_environment_is_wiped(void **state)
{
	(void)state;
	char input[] = "INPUT_REDIS_URL=redis://:hunter2@127.0.0.1:1/0", output[] = "OUTPUT_REDIS_URL=redis://:hunter2@127.0.0.1:1/0";
	char queue[] = "INPUT_QUEUE=q", other[] = "OTHER=1";
	char *strings[] = {input, queue, output, other, NULL};
	char **before = environ;
	environ = strings;
	struct gateway_address address;
	int rc = gateway_address_take(&address, NULL);
	const char *first = strings[0], *second = strings[1], *third = strings[2];
	environ = before;
	assert_int_equal(rc, 0);
	assert_string_equal(address.password, "hunter2");
	assert_ptr_equal(first, queue);
	assert_ptr_equal(second, other);
	assert_null(third);
	for (size_t i = 0; i < sizeof(input); i++)
		assert_int_equal(input[i], 0);
	for (size_t i = 0; i < sizeof(output); i++)
		assert_int_equal(output[i], 0);
}

static void test_missing_address_is_told(void **state)
{
	(void)state;
	struct gateway_address address;
	struct err err = {0};
	assert_int_equal(unsetenv("INPUT_REDIS_URL"), 0);
	assert_int_equal(gateway_address_take(&address, &err), ERR_NOT_FOUND);
	assert_contains(err.text, "gridnode");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses_are_read),
		cmocka_unit_test(test_other_forms_are_refused_without_a_word_of_them),
		cmocka_unit_test(test_environment_is_wiped),
		cmocka_unit_test(test_missing_address_is_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
