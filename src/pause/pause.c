/* Owns one container's network: listens there on 127.0.0.1:6379, hands the listening descriptor to the agent through a
 * mounted Unix socket, and holds the network until it is told to end. Started by the agent in a container of its own,
 * as its first process. Never reads a byte of what clients send, and never takes a second agent: an agent that comes
 * back removes it.
 *
 * Happy path: `lo` up (a container's is already), listen, connect, send one byte with the descriptor, wait for
 * SIGTERM. What can go wrong, the agent sees as an exit status: a number of the enum below.
 *
 * Built without a C library, so that the image is a few kilobytes: see system.h. */
#include "pause/system.h"

/* Of the C library, only the kernel's types and numbers. */
#include <arpa/inet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>

/* Exit statuses; docs/architecture.md names them, and place.c explains them. */
enum failure {
	NO_LOOPBACK = 81,
	NO_LISTENER = 82,
	NO_AGENT = 83, /* nobody listens on the mounted socket */
	NOT_HANDED_OVER = 84,
};

enum { GATEWAY_PORT = 6379, BACKLOG = 128 };

static const char AGENT_SOCKET[] = "/gate/s"; /* place_socket.c makes it, place_spec.c mounts it */

/* The compiler calls these two on its own account, by the names that they have in a C library. */
void *fill(void *target, int byte, size_t len) __asm__("memset");
void *copy(void *restrict target, const void *restrict source, size_t len) __asm__("memcpy");

void *fill(void *target, int byte, size_t len)
{
	unsigned char *at = target;
	while (len--)
		*at++ = (unsigned char)byte;
	return target;
}

void *copy(void *restrict target, const void *restrict source, size_t len)
{
	unsigned char *at = target;
	const unsigned char *from = source;
	while (len--)
		*at++ = *from++;
	return target;
}

static _Noreturn void end(int status)
{
	for (;;)
		(void)call3(SYS_exit_group, status, 0, 0);
}

static int open_socket(int family)
{
	return (int)call3(SYS_socket, family, SOCK_STREAM | SOCK_CLOEXEC, 0);
}

static int bring_loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = open_socket(AF_INET);
	if (fd < 0 || call3(SYS_ioctl, fd, SIOCGIFFLAGS, ARG(&request)) < 0)
		return -1;
	if (!(request.ifr_flags & IFF_UP)) {
		request.ifr_flags = (short)(request.ifr_flags | IFF_UP);
		if (call3(SYS_ioctl, fd, SIOCSIFFLAGS, ARG(&request)) < 0)
			return -1;
	}
	(void)call3(SYS_close, fd, 0, 0);
	return 0;
}

static int listen_on_loopback(void)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET,
		.sin_port = htons(GATEWAY_PORT),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK),
	};
	int fd = open_socket(AF_INET);
	if (fd < 0 || call3(SYS_bind, fd, ARG(&address), sizeof(address)) < 0 || call3(SYS_listen, fd, BACKLOG, 0) < 0)
		return -1;
	return fd;
}

static int connect_to_agent(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)copy(address.sun_path, AGENT_SOCKET, sizeof(AGENT_SOCKET));
	int fd = open_socket(AF_UNIX);
	return fd < 0 || call3(SYS_connect, fd, ARG(&address), sizeof(address)) < 0 ? -1 : fd;
}

static int hand_over(int agent, int listener)
{
	char byte = 'L';
	struct iovec part = {.iov_base = &byte, .iov_len = 1};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {.header = {.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}};
	(void)copy(CMSG_DATA(&control.header), &listener, sizeof(listener));
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	return call3(SYS_sendmsg, agent, ARG(&message), 0) == 1 ? 0 : -1;
}

/* The signals whose arrival ends the wait: all others do to a first process what they do by default, nothing. */
static uint64_t awaited_signals(void)
{
	return UINT64_C(1) << (SIGTERM - 1) | UINT64_C(1) << (SIGINT - 1) | UINT64_C(1) << (SIGCHLD - 1);
}

static _Noreturn void hold_network(void)
{
	for (;;) {
		uint64_t signals = awaited_signals();
		long signal = call6(SYS_rt_sigtimedwait, ARG(&signals), 0, 0, sizeof(signals), 0, 0);
		if (signal == SIGTERM || signal == SIGINT)
			end(0);
		while (call6(SYS_wait4, -1, 0, WNOHANG, 0, 0, 0) > 0)
			;
	}
}

_Noreturn void pause_main(void);

_Noreturn void pause_main(void)
{
	uint64_t signals = awaited_signals();
	(void)call6(SYS_rt_sigprocmask, SIG_BLOCK, ARG(&signals), 0, sizeof(signals), 0, 0);
	if (bring_loopback_up())
		end(NO_LOOPBACK);
	int listener = listen_on_loopback();
	if (listener < 0)
		end(NO_LISTENER);
	int agent = connect_to_agent();
	if (agent < 0)
		end(NO_AGENT);
	if (hand_over(agent, listener))
		end(NOT_HANDED_OVER);
	/* Both stay open. The connection to the agent: its end tells the agent at once that the network is lost. The
	 * listener: clients that connect while there is no agent wait. */
	hold_network();
}
