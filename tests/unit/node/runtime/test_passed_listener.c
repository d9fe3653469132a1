/* Protects the agent from what comes over a place's socket: a listener on loopback is taken, everything else is closed. */
#include "node/runtime/passed_listener.h"

#include "net/listen.h"
#include "support.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static int pair[2];

static int set_up(void **state)
{
	(void)state;
	return socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
}

static int tear_down(void **state)
{
	(void)state;
	(void)close(pair[0]);
	(void)close(pair[1]);
	return 0;
}

static void pass(const int *descriptors, size_t count)
{
	char byte = 'L';
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(8 * sizeof(int))];
	} control = {0};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	if (count) {
		message.msg_control = control.bytes;
		message.msg_controllen = CMSG_SPACE(count * sizeof(int));
		control.header.cmsg_len = CMSG_LEN(count * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		memcpy(CMSG_DATA(&control.header), descriptors, count * sizeof(int));
	}
	assert_int_equal(sendmsg(pair[1], &message, 0), 1);
}

static unsigned open_descriptors(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (directory && readdir(directory))
		count++;
	if (directory)
		(void)closedir(directory);
	return count;
}

static int open_listener(const char *address)
{
	struct err err;
	int fd = listen_open(address, &err);
	assert_true(fd >= 0);
	return fd;
}

static void test_passed_listener_is_taken_and_accepts(void **state)
{
	(void)state;
	struct err err = {0};
	int listener = open_listener("127.0.0.1:0");
	(void)fcntl(listener, F_SETFL, 0);
	pass(&listener, 1);
	(void)close(listener);
	int got = passed_listener_receive(pair[0], &err);
	assert_true(got >= 0);
	assert_true(fcntl(got, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(got, F_GETFD) & FD_CLOEXEC);

	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)listen_port(got)),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(client, (struct sockaddr *)&to, sizeof(to)), 0);
	int accepted = accept(got, NULL, NULL);
	assert_true(accepted >= 0);
	(void)close(accepted);
	(void)close(client);
	(void)close(got);
}

static void test_passed_listener_waits(void **state)
{
	(void)state;
	struct err err = {0};
	assert_int_equal(passed_listener_receive(pair[0], &err), -1);
	assert_int_equal(err.code, ERR_STATE);
}

static void test_passed_listener_notices_the_end(void **state)
{
	(void)state;
	struct err err = {0};
	(void)shutdown(pair[1], SHUT_WR);
	assert_int_equal(passed_listener_receive(pair[0], &err), -1);
	assert_int_equal(err.code, ERR_UNREACHABLE);
}

static void assert_refused(const int *descriptors, size_t count)
{
	struct err err = {0};
	unsigned before = open_descriptors();
	pass(descriptors, count);
	assert_int_equal(passed_listener_receive(pair[0], &err), -1);
	assert_int_equal(err.code, ERR_PROTOCOL);
	assert_int_equal(open_descriptors(), before);
}

static void test_passed_listener_refuses_all_else_and_keeps_none(void **state)
{
	(void)state;
	int file = open("/dev/null", O_RDONLY);
	int idle = socket(AF_INET, SOCK_STREAM, 0);
	int open_to_all = open_listener("0.0.0.0:0");
	int right = open_listener("127.0.0.1:0");
	const int many[] = {right, right, right, right, right, right, right};
	assert_refused(NULL, 0);
	assert_refused(&file, 1);
	assert_refused(&idle, 1);
	assert_refused(&open_to_all, 1);
	assert_refused(&pair[0], 1);
	assert_refused(many, 2);
	assert_refused(many, 7); /* more than there is room for */
	(void)close(file);
	(void)close(idle);
	(void)close(open_to_all);
	(void)close(right);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_passed_listener_is_taken_and_accepts, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_passed_listener_waits, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_passed_listener_notices_the_end, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_passed_listener_refuses_all_else_and_keeps_none, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
