/* Protects where gridctl's settings come from, that none is sent where it does not belong, and that no token is shown. */
#include "ctl/ctl_config.h"
#include "ctl/local_hub.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const char PIN[] = "sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
static char problems[4096];
static char warnings[4096];
static struct ctl_globals globals;
static struct ctl_config config;

static void on_problem(void *context, const char *text)
{
	(void)context;
	(void)strcat(strcat(problems, text), "\n");
}

static void on_warning(void *context, const char *text)
{
	(void)context;
	(void)strcat(strcat(warnings, text), "\n");
}

static int load(void)
{
	ctl_config_done(&config);
	problems[0] = warnings[0] = '\0';
	return ctl_config_load(&config, &globals, on_problem, on_warning, NULL);
}

static void assert_setting(const struct ctl_setting *setting, const char *value, const char *source)
{
	assert_string_equal(setting->value, value);
	assert_string_equal(setting->source, source);
}

/* A home of the test's own; /etc/idm-gridcore may hold a hub of this machine, which only silence asks for. */
static int setup(void **state)
{
	char directory[4096];
	if (sandbox_setup(state) || !getcwd(directory, sizeof(directory)))
		return -1;
	globals = CTL_GLOBALS_BEFORE;
	(void)unsetenv("IDM_GRIDCORE_HUB");
	(void)unsetenv("IDM_GRIDCORE_TOKEN");
	(void)unsetenv("IDM_GRIDCORE_ADMIN_TOKEN");
	return setenv("XDG_CONFIG_HOME", directory, 1) || mkdir("idm-gridcore", 0700);
}

static int teardown(void **state)
{
	ctl_config_done(&config);
	return sandbox_teardown(state);
}

static void write_private(const char *path, const char *text)
{
	write_file(path, text);
	assert_int_equal(chmod(path, 0600), 0);
}

static char *own_path(const char *name)
{
	static char path[5000];
	(void)snprintf(path, sizeof(path), "%s/idm-gridcore/%s", getenv("XDG_CONFIG_HOME"), name);
	return path;
}

static void test_ctl_config_options_go_before_environment_before_file(void **state)
{
	(void)state;
	write_private("idm-gridcore/gridctl.toml", "hub = \"https://file:1\"\ntoken = \"of-the-file\"\n");
	assert_int_equal(load(), 0);
	assert_setting(&config.hub, "https://file:1", own_path("gridctl.toml"));
	assert_setting(&config.token, "of-the-file", own_path("gridctl.toml"));
	assert_true(config.exists);
	assert_string_equal(warnings, "");

	(void)setenv("IDM_GRIDCORE_HUB", "http://environment:2", 1);
	(void)setenv("IDM_GRIDCORE_TOKEN", "of-the-environment", 1);
	assert_int_equal(load(), 0);
	assert_setting(&config.hub, "http://environment:2", "$IDM_GRIDCORE_HUB");
	assert_setting(&config.token, "of-the-environment", "$IDM_GRIDCORE_TOKEN");
	(void)setenv("IDM_GRIDCORE_ADMIN_TOKEN", "of-the-admin", 1);
	assert_int_equal(load(), 0);
	assert_setting(&config.token, "of-the-admin", "$IDM_GRIDCORE_ADMIN_TOKEN");

	write_private("token", "of-the-option\nsecond line\n");
	globals.hub = "http://option:3";
	globals.token_file = "token";
	assert_int_equal(load(), 0);
	assert_setting(&config.hub, "http://option:3", "--hub");
	assert_setting(&config.token, "of-the-option", "token");
}

static void test_ctl_config_token_file_lies_beside_the_configuration(void **state)
{
	(void)state;
	write_private("idm-gridcore/gridctl.toml", "hub = \"http://h:1\"\ntoken_file = \"my-token\"\n");
	assert_int_equal(load(), ERR_NOT_FOUND);
	assert_contains(problems, "token_file: cannot read ");
	write_private("idm-gridcore/my-token", "secret-of-mine\r\n");
	assert_int_equal(load(), 0);
	assert_setting(&config.token, "secret-of-mine", own_path("my-token"));
	(void)setenv("IDM_GRIDCORE_TOKEN", "", 1); /* as if it were not there */
	assert_int_equal(load(), 0);
	assert_setting(&config.token, "secret-of-mine", own_path("my-token"));
	write_private("idm-gridcore/my-token", "\n");
	assert_int_equal(load(), ERR_INVALID);
	assert_contains(problems, "is empty: its first line must be the token");
}

static void test_ctl_config_names_problems_and_shows_no_token(void **state)
{
	(void)state;
	write_private("idm-gridcore/gridctl.toml", "hub = \"ftp://x\"\ntoken = \"hunter2 with spaces\"\ncolour = 1\n");
	assert_int_equal(load(), ERR_INVALID);
	assert_contains(problems, "gridctl.toml:1: hub: the URL must begin with http:// or https://\n");
	assert_contains(problems, "gridctl.toml:2: token: ");
	assert_contains(problems, "gridctl.toml:3: unknown key \"colour\"");
	assert_lacks(problems, "hunter2");

	write_private("idm-gridcore/gridctl.toml", "token = \"hunter2\"\ntoken_file = \"x\"\n");
	assert_int_equal(load(), ERR_INVALID);
	assert_contains(problems, "token and token_file are both set: remove one of them");
	globals.config = "nowhere.toml";
	assert_int_equal(load(), ERR_NOT_FOUND);
	assert_contains(problems, "cannot read nowhere.toml");
}

static void test_ctl_config_checks_options_and_environment(void **state)
{
	(void)state;
	globals.hub = "not a url";
	(void)setenv("IDM_GRIDCORE_TOKEN", "hunter2\n", 1);
	assert_int_not_equal(load(), 0);
	assert_contains(problems, "--hub: the URL has a space");
	assert_contains(problems, "$IDM_GRIDCORE_TOKEN: ");
	assert_lacks(problems, "hunter2");
	(void)unsetenv("IDM_GRIDCORE_TOKEN");
	globals.hub = "http://plain:1";
	globals.tls_pin = PIN;
	assert_int_not_equal(load(), 0);
	assert_contains(problems, "--tls-pin is given, but the hub's address begins with http://");
	globals.hub = "https://secure:1";
	assert_int_equal(load(), 0);
	assert_setting(&config.tls_pin, PIN, "--tls-pin");
}

static void test_ctl_config_warns_of_tokens_that_others_can_read(void **state)
{
	(void)state;
	write_private("idm-gridcore/gridctl.toml", "hub = \"http://h:1\"\ntoken = \"hunter2\"\n");
	assert_int_equal(chmod("idm-gridcore/gridctl.toml", 0640), 0);
	assert_int_equal(load(), 0);
	assert_contains(warnings, "others can read the token in ");
	assert_contains(warnings, "(mode 0640): chmod 600 ");
	assert_lacks(warnings, "hunter2");
	write_file("idm-gridcore/gridctl.toml", "hub = \"http://h:1\"\n"); /* without a token there is nothing to hide */
	assert_int_equal(load(), 0);
	assert_string_equal(warnings, "");
}

static void test_local_hub_is_read_from_its_configuration(void **state)
{
	(void)state;
	struct local_hub hub;
	write_private("hub.toml", "bind = \"0.0.0.0:9090\"\ntoken = \"single\"\nadmin_token = \"of-the-admin\"\noffline_after = 3\n");
	assert_true(local_hub_read("hub.toml", &hub));
	assert_string_equal(hub.token, "of-the-admin");
	assert_string_equal(hub.url, "http://127.0.0.1:9090");
	assert_null(hub.pin);
	local_hub_done(&hub);
	write_private("hub.toml", "bind = \"[::]:0\"\ntoken = \"single\"\n");
	assert_true(local_hub_read("hub.toml", &hub));
	assert_string_equal(hub.token, "single");
	assert_null(hub.url);
	local_hub_done(&hub);
	write_private("hub.toml", "bind = \"[::]:80\"\ntoken = \"single\"\n");
	assert_true(local_hub_read("hub.toml", &hub));
	assert_string_equal(hub.url, "http://[::1]:80");
	local_hub_done(&hub);
	write_private("hub.toml", "join_token = \"for-nodes\"\n");
	assert_false(local_hub_read("hub.toml", &hub));
	write_private("hub.toml", "admin_token = \n");
	assert_false(local_hub_read("hub.toml", &hub));
	assert_false(local_hub_read("nowhere.toml", &hub));
}

static void test_local_hub_gives_its_token_to_no_other_machine(void **state)
{
	(void)state;
	assert_true(local_hub_is_here("http://127.0.0.1:8080"));
	assert_true(local_hub_is_here("http://127.5.4.3"));
	assert_true(local_hub_is_here("https://localhost:1/x"));
	assert_true(local_hub_is_here("http://[::1]:8080"));
	assert_false(local_hub_is_here("http://127.0.0.1.example.org:8080"));
	assert_false(local_hub_is_here("http://127.example.org"));
	assert_false(local_hub_is_here("http://192.168.1.1:8080"));

	write_private("idm-gridcore/computehub.toml", "admin_token = \"of-the-admin\"\n");
	globals.hub = "http://192.168.1.1:8080";
	assert_int_equal(load(), 0);
	assert_setting(&config.token, "", "");
}

static void test_ctl_config_masks_tokens(void **state)
{
	(void)state;
	char text[64];
	ctl_config_mask("hunter2", text, sizeof(text));
	assert_string_equal(text, "*** (7 characters)");
	ctl_config_mask("abcdefghijklmnopqrstuvwxyz", text, sizeof(text));
	assert_string_equal(text, "abc*** (26 characters)");
}

#define in_home(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_home(test_ctl_config_options_go_before_environment_before_file),
		in_home(test_ctl_config_token_file_lies_beside_the_configuration),
		in_home(test_ctl_config_names_problems_and_shows_no_token),
		in_home(test_ctl_config_checks_options_and_environment),
		in_home(test_ctl_config_warns_of_tokens_that_others_can_read),
		in_home(test_local_hub_is_read_from_its_configuration),
		in_home(test_local_hub_gives_its_token_to_no_other_machine),
		in_home(test_ctl_config_masks_tokens),
	};
	return cmocka_run_group_tests_name("ctl_config", tests, NULL, NULL);
}
