/* Protects the table of the hub's configuration: its defaults are the documented ones, its sample reads back, and the
 * state's place follows its order. */
#include "hub/hub_config.h"

#include "../support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char problems[2048];

static void on_problem(void *context, const char *problem)
{
	(void)context;
	size_t len = strlen(problems);
	(void)snprintf(problems + len, sizeof(problems) - len, "%s\n", problem);
}

static int load(const char *text, struct hub_config *config)
{
	*config = (struct hub_config){0};
	problems[0] = '\0';
	write_file("f.toml", text);
	return config_load(&HUB_CONFIG_TABLE, config, "f.toml", on_problem, NULL);
}

static void test_hub_config_defaults(void **state)
{
	(void)state;
	struct hub_config config;
	assert_int_equal(load("token = \"your-secret-token\"\n", &config), 0);
	assert_string_equal(config.bind, "0.0.0.0:8080");
	assert_int_equal(config.offline_after_s, 60);
	assert_int_equal(config.forget_after_s, 7 * 24 * 3600);
	assert_int_equal(config.keep_completed, 1000);
	assert_string_equal(config.log_level, "info");
	config_done(&HUB_CONFIG_TABLE, &config);
}

static void test_hub_config_refuses_weak_and_odd_values(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		const char *problem;
	} CASES[] = {
		{"token = \"short\"\n", "f.toml:1: token: must have at least 8 characters\n"},
		{"token = \"with a space\"\n", "f.toml:1: token: must be printable ASCII without spaces\n"},
		{"token = \"t\\u00e9l\\u00e9phone\"\n", "f.toml:1: token: must be printable ASCII without spaces\n"},
		{"token = \"12345678\"\nbind = \"localhost:8080\"\n", "f.toml:2: bind: the address must be numeric"},
		{"token = \"12345678\"\nbind = \"0.0.0.0\"\n", "f.toml:2: bind: must be address:port"},
		{"token = \"12345678\"\nbind = \"0.0.0.0:65536\"\n", "f.toml:2: bind: the port must be 0 to 65535"},
		{"token = \"12345678\"\nbind = \"0.0.0.0:\"\n", "f.toml:2: bind: the port must be 0 to 65535"},
		{"token = \"12345678\"\nbind = \"::1:80\"\n", "f.toml:2: bind: an IPv6 address stands in brackets"},
		{"token = \"12345678\"\nlog_level = \"loud\"\n", "f.toml:2: log_level: must be error, warn, info or debug\n"},
		{"token = \"12345678\"\noffline_after = 0\n", "f.toml:2: offline_after must be from 1 to 86400 seconds\n"},
		{"token = \"12345678\"\nkeep_completed = -1\n", "f.toml:2: keep_completed must be from 1 to 100000 tasks\n"},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct hub_config config;
		assert_int_not_equal(load(CASES[i].text, &config), 0);
		assert_contains(problems, CASES[i].problem);
		config_done(&HUB_CONFIG_TABLE, &config);
	}
}

static void test_hub_config_wants_both_files_of_tls(void **state)
{
	(void)state;
	struct hub_config config;
	assert_int_equal(load("token = \"12345678\"\ntls_cert = \"c.pem\"\n", &config), ERR_INVALID);
	assert_string_equal(problems, "f.toml: tls_cert is set and tls_key is not: set both, or none\n");
	config_done(&HUB_CONFIG_TABLE, &config);
	assert_int_equal(load("token = \"12345678\"\ntls_key = \"k.pem\"\n", &config), ERR_INVALID);
	assert_string_equal(problems, "f.toml: tls_key is set and tls_cert is not: set both, or none\n");
	config_done(&HUB_CONFIG_TABLE, &config);
	assert_int_equal(load("token = \"12345678\"\ntls_key = \"k.pem\"\ntls_cert = \"c.pem\"\n", &config), ERR_NOT_FOUND);
	assert_contains(problems, "f.toml: tls_cert: cannot read c.pem");
	config_done(&HUB_CONFIG_TABLE, &config);
}

static void test_hub_config_binds(void **state)
{
	(void)state;
	static const char *const GOOD[] = {"127.0.0.1:0", "[::]:8080", "[::1]:65535", ":8080"};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++) {
		char text[256];
		struct hub_config config;
		(void)snprintf(text, sizeof(text), "token = \"12345678\"\nbind = \"%s\"\n", GOOD[i]);
		if (load(text, &config))
			fail_msg("%s: %s", GOOD[i], problems);
		config_done(&HUB_CONFIG_TABLE, &config);
	}
}

static void test_hub_config_sample_reads_back(void **state)
{
	(void)state;
	static const struct config_initial INITIAL[] = {{.name = "token", .value = "a-strong-token"}};
	struct hub_config config = {0};
	assert_int_equal(config_write_sample(&HUB_CONFIG_TABLE, "f.toml", INITIAL, 1, NULL), 0);
	assert_int_equal(config_load(&HUB_CONFIG_TABLE, &config, "f.toml", on_problem, NULL), 0);
	assert_string_equal(config.token, "a-strong-token");
	config_done(&HUB_CONFIG_TABLE, &config);
	char *text = read_file("f.toml");
	for (size_t i = 0; i < HUB_CONFIG_TABLE.count; i++)
		assert_contains(text, HUB_CONFIG_TABLE.keys[i].name);
	free(text);
}

static void assert_state_directory(const char *state_dir, const char *expected)
{
	char copy[256];
	(void)snprintf(copy, sizeof(copy), "%s", state_dir);
	const struct hub_config config = {.state_dir = copy};
	char *directory = hub_config_state_directory(&config);
	assert_string_equal(directory, expected);
	free(directory);
}

static void test_hub_config_state_directory_keeps_its_order(void **state)
{
	(void)state;
	assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
	if (geteuid() == 0)
		assert_state_directory("", "/var/lib/idm-gridcore");
	assert_int_equal(setenv("STATE_DIRECTORY", "/var/lib/from-systemd", 1), 0);
	assert_state_directory("", "/var/lib/from-systemd");
	assert_state_directory("/given", "/given");
	assert_int_equal(unsetenv("STATE_DIRECTORY"), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_sandbox(test_hub_config_defaults),
		in_sandbox(test_hub_config_refuses_weak_and_odd_values),
		in_sandbox(test_hub_config_wants_both_files_of_tls),
		in_sandbox(test_hub_config_binds),
		in_sandbox(test_hub_config_sample_reads_back),
		in_sandbox(test_hub_config_state_directory_keeps_its_order),
	};
	return cmocka_run_group_tests_name("hub_config", tests, NULL, NULL);
}
