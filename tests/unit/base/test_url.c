/* Protects users' passwords and the hub: URLs that are none are refused, and no form of a URL shows its password. */
#include "base/url.h"

#include "fault.h"
#include "support.h"

#include <stdlib.h>
#include <string.h>

static void test_url_check_redis_takes_what_users_write(void **state)
{
	(void)state;
	static const char *const GOOD[] = {
		"redis://localhost",
		"redis://localhost:6379",
		"redis://localhost:6379/",
		"redis://localhost:6379/0",
		"redis://localhost:6379/15",
		"rediss://redis.example.org:6380/2",
		"redis://:password@redis-host:6379",
		"redis://user:password@redis-host:6379/1",
		"redis://:p%40ss%3Aword%2F@host",
		"redis://[::1]:6379/0",
		"redis://192.168.1.100",
		"redis://host.docker.internal:6379",
	};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct err err = {0};
		if (url_check_redis(GOOD[i], &err))
			fail_msg("%s: %s", GOOD[i], err.text);
	}
}

static void test_url_check_redis_refuses_the_rest_without_quoting_it(void **state)
{
	(void)state;
	static const char *const BAD[] = {
		"",
		"redis",
		"redis:",
		"redis://",
		"localhost:6379",
		"://localhost",
		"http://:hunter2@localhost",
		"file:/etc/hunter2",
		"redis://:hunter2@",
		"redis://:hunter2@:6379",
		"redis://:hunter2@host:0",
		"redis://:hunter2@host:65536",
		"redis://:hunter2@host:99999999999",
		"redis://:hunter2@host:port",
		"redis://:hunter2@host:-1",
		"redis://:hunter2@host/queue",
		"redis://:hunter2@host/0/1",
		"redis://:hunter2@host/123456",
		"redis://:hunter2@host/-1",
		"redis://:hunter2@host/0#fragment",
		"redis://:hunter2 @host",
		"redis://:hunter2@ho\tst",
		"redis://:hunter2@host\n",
		"redis://:hunter2@host\x7f",
		"redis://:hunter2@evil@host",
		"redis://:hunter2/x@host",
		/* libcurl forgives one slash, and three. */
		"redis:/:hunter2@host/0",
		"redis:///:hunter2@host/0",
		"redis:////:hunter2@host/0",
		"redis:\\\\:hunter2@host",
		"redis:/:hunter2@host/?x=://y",
		/* Of the hub's own configuration alone. */
		"unix:///run/hunter2.sock",
		"unix://host/hunter2",
	};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct err err = {0};
		if (!url_check_redis(BAD[i], &err))
			fail_msg("%s was taken", BAD[i]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_lacks(err.text, "hunter2");
	}
	char *longest = malloc(4001);
	assert_non_null(longest);
	(void)strcpy(longest, "redis://host/");
	memset(longest + 13, '0', 4000 - 13);
	longest[4000] = '\0';
	assert_int_equal(url_check_redis(longest, NULL), ERR_INVALID);
	free(longest);
}

static void test_url_check_own_redis_takes_a_socket_too(void **state)
{
	(void)state;
	static const char *const GOOD[] = {"redis://localhost", "unix:///run/redis/redis.sock", "unix:///a b/100%"};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct err err = {0};
		if (url_check_own_redis(GOOD[i], &err))
			fail_msg("%s: %s", GOOD[i], err.text);
	}
	static const char *const BAD[] = {"",
					  "unix:",
					  "unix://",
					  "unix://hunter2",
					  "unix://:hunter2@/redis.sock",
					  "unix:/hunter2",
					  "unix:///redis.sock?password=hunter2",
					  "unix:///hunter2\n",
					  "http://hunter2"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct err err = {0};
		if (!url_check_own_redis(BAD[i], &err))
			fail_msg("%s was taken", BAD[i]);
		assert_int_equal(err.code, ERR_INVALID);
		assert_lacks(err.text, "hunter2");
	}
	/* The system would cut it. */
	char longest[7 + 108 + 1] = "unix://";
	memset(longest + 7, '/', 107);
	longest[7 + 107] = '\0';
	assert_int_equal(url_check_own_redis(longest, NULL), 0);
	longest[7 + 107] = '/';
	longest[7 + 108] = '\0';
	assert_int_equal(url_check_own_redis(longest, NULL), ERR_INVALID);
}

static void test_url_parse_redis_gives_a_sockets_path(void **state)
{
	(void)state;
	struct redis_url parts;
	assert_int_equal(url_parse_redis("unix:///run/a b%41.sock", &parts, NULL), 0);
	assert_string_equal(parts.socket, "/run/a b%41.sock");
	assert_null(parts.host);
	redis_url_done(&parts);
	assert_int_equal(url_parse_redis("redis://host", &parts, NULL), 0);
	assert_null(parts.socket);
	redis_url_done(&parts);
}

static void test_url_check_http_takes_hubs(void **state)
{
	(void)state;
	static const char *const GOOD[] = {"http://192.168.1.100:8080", "https://hub.example.org",
					   "http://hub.example.org:8080/", "https://example.org/grid", "http://[::1]:8080"};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		struct err err = {0};
		if (url_check_http(GOOD[i], &err))
			fail_msg("%s: %s", GOOD[i], err.text);
	}
	static const char *const BAD[] = {"",
					  "hub:8080",
					  "hub.example.org",
					  "ftp://hub",
					  "redis://hub",
					  "http://",
					  "http:///hub",
					  "http:/hub",
					  "http://user:hunter2@hub",
					  "http://hunter2@hub",
					  "http://hub/?token=hunter2",
					  "http://hub#hunter2",
					  "http://hub:70000",
					  "http://hub:0",
					  "http://my hub"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct err err = {0};
		if (!url_check_http(BAD[i], &err))
			fail_msg("%s was taken", BAD[i]);
		assert_lacks(err.text, "hunter2");
	}
}

static void assert_masked(const char *url, const char *expected)
{
	char *masked = url_masked(url);
	assert_non_null(masked);
	assert_string_equal(masked, expected);
	free(masked);
}

static void test_url_masked_hides_passwords_and_nothing_else(void **state)
{
	(void)state;
	assert_masked("redis://host:6379/0", "redis://host:6379/0");
	assert_masked("redis://host", "redis://host");
	assert_masked("REDIS://Host/1", "REDIS://Host/1");
	assert_masked("redis://:hunter2@host:6379", "redis://:***@host:6379");
	assert_masked("redis://user:hunter2@host:6379/1", "redis://user:***@host:6379/1");
	assert_masked("redis://hunter2@host", "redis://***@host");
	assert_masked("redis://user:@host", "redis://user:***@host");
	assert_masked("redis://:hunter2:hunter2@host/0", "redis://:***@host/0");
	assert_masked("redis://:hunter2@[::1]:6379/0", "redis://:***@[::1]:6379/0");
	assert_masked("redis://host/0?password=hunter2", "redis://host/0");
	assert_masked("redis://:%68unter2@host", "redis://:***@host");
	assert_masked("unix:///run/redis.sock", "unix:///run/redis.sock");
}

static void test_url_masked_hides_all_of_what_does_not_parse(void **state)
{
	(void)state;
	assert_masked("", "***");
	assert_masked("hunter2", "***");
	assert_masked("redis:/:hunter2@host/0", "***");
	assert_masked("redis:///:hunter2@host/0", "***");
	assert_masked("redis://:hunter2/x@host", "***");
	assert_masked("redis://:hunter2@evil@host", "***");
	assert_masked("file:/hunter2", "***");
	assert_masked("redis://:hunter2@host\n", "***");
	assert_masked("unix:///redis.sock?password=hunter2", "***");
	assert_masked("unix://:hunter2@/redis.sock", "***");
}

static void test_url_masked_without_memory_is_null_or_right(void **state)
{
	(void)state;
	unsigned n = 0;
	bool reached;
	do {
		fault_arm(++n);
		char *masked = url_masked("redis://:hunter2@host");
		reached = fault_disarm();
		assert_true(masked || reached);
		assert_lacks(masked, "hunter2");
		free(masked);
	} while (reached);
}

static void assert_text(const char *text, const char *expected)
{
	if (expected)
		assert_string_equal(text, expected);
	else
		assert_null(text);
}

static void test_url_parse_redis_gives_the_parts_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *url;
		bool tls;
		const char *host;
		unsigned port;
		const char *user;
		const char *password;
		unsigned database;
	} CASES[] = {
		{"redis://host", .host = "host", .port = 6379},
		{"rediss://host:6380/2", .tls = true, .host = "host", .port = 6380, .database = 2},
		{"redis://:p%40ss%3A%2Fw@host/", .host = "host", .port = 6379, .password = "p@ss:/w"},
		{"redis://us%20er:pw@host:1/15", .host = "host", .port = 1, .user = "us er", .password = "pw", .database = 15},
		{"redis://[::1]:7", .host = "::1", .port = 7},
		{"redis://:@host", .host = "host", .port = 6379},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct redis_url parts;
		struct err err = {0};
		if (url_parse_redis(CASES[i].url, &parts, &err))
			fail_msg("%s: %s", CASES[i].url, err.text);
		assert_string_equal(parts.host, CASES[i].host);
		assert_text(parts.user, CASES[i].user);
		assert_text(parts.password, CASES[i].password);
		assert_int_equal(parts.tls, CASES[i].tls);
		assert_int_equal(parts.port, CASES[i].port);
		assert_int_equal(parts.database, CASES[i].database);
		redis_url_done(&parts);
	}
}

static void test_url_parse_redis_refuses_what_clients_read_differently(void **state)
{
	(void)state;
	static const char *const BAD[] = {"redis://hunter2@host", "redis://host?password=hunter2", "redis://:hun%00ter2@host",
					  "http://:hunter2@host", "redis://:hunter2@host/x"};
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		struct redis_url parts;
		struct err err = {0};
		assert_int_equal(url_parse_redis(BAD[i], &parts, &err), ERR_INVALID);
		assert_lacks(err.text, "ter2");
		redis_url_done(&parts);
	}
}

static void test_url_parse_redis_survives_any_failing_allocation(void **state)
{
	(void)state;
	unsigned nth = 0;
	bool hit;
	do {
		struct redis_url parts;
		fault_arm(++nth);
		int rc = url_parse_redis("redis://user:pw@host:1/2", &parts, NULL);
		hit = fault_disarm();
		assert_int_equal(rc, hit ? ERR_NOMEM : 0);
		redis_url_done(&parts);
	} while (hit);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_url_check_redis_takes_what_users_write),
		cmocka_unit_test(test_url_check_redis_refuses_the_rest_without_quoting_it),
		cmocka_unit_test(test_url_check_own_redis_takes_a_socket_too),
		cmocka_unit_test(test_url_parse_redis_gives_a_sockets_path),
		cmocka_unit_test(test_url_check_http_takes_hubs),
		cmocka_unit_test(test_url_masked_hides_passwords_and_nothing_else),
		cmocka_unit_test(test_url_masked_hides_all_of_what_does_not_parse),
		cmocka_unit_test(test_url_masked_without_memory_is_null_or_right),
		cmocka_unit_test(test_url_parse_redis_gives_the_parts_decoded),
		cmocka_unit_test(test_url_parse_redis_refuses_what_clients_read_differently),
		cmocka_unit_test(test_url_parse_redis_survives_any_failing_allocation),
	};
	return cmocka_run_group_tests_name("url", tests, NULL, NULL);
}
