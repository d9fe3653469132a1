/* Protects the search for the engine: the configured place before all others, a dead or forbidden socket told from an
 * absent one, and errors that say what to do. */
#include "node/runtime/engine_socket.h"

#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* The absolute path of a name in the sandbox. */
static const char *here(const char *name)
{
	static char path[4096 + 64];
	char directory[4096];
	assert_non_null(getcwd(directory, sizeof(directory)));
	(void)snprintf(path, sizeof(path), "%s/%s", directory, name);
	return path;
}

static int listen_at(const char *path, bool listening)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	assert_true(strlen(path) < sizeof(address.sun_path));
	memcpy(address.sun_path, path, strlen(path) + 1);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	if (listening)
		assert_int_equal(listen(fd, 5), 0);
	return fd;
}

static void test_engine_socket_takes_the_configured_place_alone(void **state)
{
	(void)state;
	struct engine_sockets sockets;
	assert_int_equal(setenv("DOCKER_HOST", "unix:///elsewhere", 1), 0);
	assert_int_equal(engine_sockets_list(&sockets, "unix:///a/b.sock", NULL), 0);
	assert_int_equal(sockets.count, 1);
	assert_string_equal(sockets.items[0].path, "/a/b.sock");
	assert_int_equal(engine_sockets_list(&sockets, "/c.sock", NULL), 0);
	assert_string_equal(sockets.items[0].path, "/c.sock");
	assert_int_equal(engine_sockets_list(&sockets, "", NULL), 0);
	assert_int_equal(sockets.count, 1);
	assert_string_equal(sockets.items[0].path, "/elsewhere");
	assert_int_equal(unsetenv("DOCKER_HOST"), 0);
}

static void test_engine_socket_refuses_other_addresses(void **state)
{
	(void)state;
	static const char *const ADDRESSES[] = {"tcp://10.0.0.1:2375", "ssh://host", "relative.sock", "unix://rel"};
	for (size_t i = 0; i < sizeof(ADDRESSES) / sizeof(ADDRESSES[0]); i++) {
		struct engine_sockets sockets;
		struct err err = {0};
		assert_int_equal(setenv("DOCKER_HOST", ADDRESSES[i], 1), 0);
		assert_int_equal(engine_sockets_list(&sockets, NULL, &err), ERR_INVALID);
		assert_contains(err.text, "$DOCKER_HOST");
		assert_contains(err.text, "unix:///var/run/docker.sock");
	}
	assert_int_equal(unsetenv("DOCKER_HOST"), 0);

	struct engine_sockets sockets;
	char longest[200];
	memset(longest, '/', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_int_equal(engine_sockets_list(&sockets, longest, NULL), ERR_INVALID);
}

static void test_engine_socket_lists_the_usual_places_in_order(void **state)
{
	(void)state;
	struct engine_sockets sockets;
	assert_int_equal(unsetenv("DOCKER_HOST"), 0);
	assert_int_equal(setenv("HOME", "/h", 1), 0);
	assert_int_equal(setenv("XDG_RUNTIME_DIR", "/r", 1), 0);
	assert_int_equal(engine_sockets_list(&sockets, NULL, NULL), 0);
	assert_string_equal(sockets.items[0].path, "/var/run/docker.sock");
	assert_string_equal(sockets.items[1].path, "/r/docker.sock");
	assert_string_equal(sockets.items[2].path, "/h/.docker/run/docker.sock");
	size_t all = sockets.count;

	assert_int_equal(unsetenv("XDG_RUNTIME_DIR"), 0);
	assert_int_equal(unsetenv("HOME"), 0);
	assert_int_equal(engine_sockets_list(&sockets, NULL, NULL), 0);
	assert_true(sockets.count < all);
	assert_string_equal(sockets.items[1].path, "/run/podman/podman.sock");
}

static void test_engine_socket_finds_the_one_that_listens(void **state)
{
	(void)state;
	struct engine_sockets sockets;
	int fd = listen_at(here("live.sock"), true);
	assert_int_equal(engine_sockets_list(&sockets, here("live.sock"), NULL), 0);
	assert_string_equal(engine_sockets_next(&sockets), here("live.sock"));

	const struct err why = {.code = ERR_PROTOCOL, .text = "it speaks in riddles"};
	struct err err = {0};
	engine_sockets_reject(&sockets, &why);
	assert_null(engine_sockets_next(&sockets));
	assert_int_equal(engine_sockets_explain(&sockets, &err), ERR_PROTOCOL);
	assert_contains(err.text, "live.sock: it speaks in riddles");
	(void)close(fd);
}

static void test_engine_socket_tells_a_dead_one(void **state)
{
	(void)state;
	struct engine_sockets sockets;
	struct err err = {0};
	int fd = listen_at(here("dead.sock"), false);
	assert_int_equal(engine_sockets_list(&sockets, here("dead.sock"), NULL), 0);
	assert_null(engine_sockets_next(&sockets));
	assert_int_equal(engine_sockets_explain(&sockets, &err), ERR_UNREACHABLE);
	assert_contains(err.text, "dead.sock: Connection refused");
	assert_contains(err.text, "systemctl start docker");
	(void)close(fd);
}

static void test_engine_socket_tells_a_forbidden_one(void **state)
{
	(void)state;
	struct engine_sockets sockets;
	struct err err = {0};
	int fd = listen_at(here("mine.sock"), true);
	assert_int_equal(chmod("mine.sock", 0600), 0);
	assert_int_equal(chmod(".", 0711), 0);
	bool changed = getuid() == 0 && seteuid(65534) == 0; /* root may do everything */
	if (!changed)
		assert_int_equal(chmod("mine.sock", 0), 0);
	assert_int_equal(engine_sockets_list(&sockets, here("mine.sock"), NULL), 0);
	const char *found = engine_sockets_next(&sockets);
	int code = engine_sockets_explain(&sockets, &err);
	if (changed)
		assert_int_equal(seteuid(0), 0);
	assert_null(found);
	assert_int_equal(code, ERR_DENIED);
	assert_contains(err.text, "mine.sock: permission denied: add the user to the group docker (usermod -aG docker USER");
	(void)close(fd);
}

static void test_engine_socket_tells_where_it_looked(void **state)
{
	(void)state;
	struct engine_sockets sockets;
	struct err err = {0};
	assert_int_equal(engine_sockets_list(&sockets, "/nowhere/x.sock", NULL), 0);
	assert_null(engine_sockets_next(&sockets));
	assert_int_equal(engine_sockets_explain(&sockets, &err), ERR_NOT_FOUND);
	assert_contains(err.text, "no container engine at /nowhere/x.sock (from docker_host)");

	sockets = (struct engine_sockets){.count = 2};
	memcpy(sockets.items[0].path, "/nowhere/a", sizeof("/nowhere/a"));
	memcpy(sockets.items[1].path, "/nowhere/b", sizeof("/nowhere/b"));
	assert_null(engine_sockets_next(&sockets));
	assert_int_equal(engine_sockets_explain(&sockets, &err), ERR_NOT_FOUND);
	assert_contains(err.text, "no container engine: install");
	assert_contains(err.text, "looked at /nowhere/a, /nowhere/b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_engine_socket_takes_the_configured_place_alone),
		cmocka_unit_test(test_engine_socket_refuses_other_addresses),
		cmocka_unit_test(test_engine_socket_lists_the_usual_places_in_order),
		in_sandbox(test_engine_socket_finds_the_one_that_listens),
		in_sandbox(test_engine_socket_tells_a_dead_one),
		in_sandbox(test_engine_socket_tells_a_forbidden_one),
		cmocka_unit_test(test_engine_socket_tells_where_it_looked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
