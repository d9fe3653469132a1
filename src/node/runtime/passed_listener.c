/* Owns the reading of a passed descriptor. Called by place_socket.c. Never trusts the sender: what is not exactly one
 * listening TCP socket on 127.0.0.1 is closed. */
#include "node/runtime/passed_listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* More than one, so that a second one is seen and closed; what is over that the kernel closes. */
enum { DESCRIPTORS_MAX = 4, BYTES_MAX = 16 };

#ifdef MSG_CMSG_CLOEXEC
enum { RECEIVE_FLAGS = MSG_CMSG_CLOEXEC };
#else
enum { RECEIVE_FLAGS = 0 };
#endif

static size_t collect(struct msghdr *message, int descriptors[DESCRIPTORS_MAX])
{
	size_t count = 0;
	for (struct cmsghdr *part = CMSG_FIRSTHDR(message); part; part = CMSG_NXTHDR(message, part)) {
		if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
			continue;
		size_t here = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		for (size_t i = 0; i < here && count < DESCRIPTORS_MAX; i++)
			memcpy(&descriptors[count++], CMSG_DATA(part) + i * sizeof(int), sizeof(int));
	}
	return count;
}

static bool is_listener(int fd)
{
	int listening = 0;
	socklen_t len = sizeof(listening);
	struct sockaddr_in address = {0};
	socklen_t address_len = sizeof(address);
	return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &len) == 0 && listening &&
	       getsockname(fd, (struct sockaddr *)&address, &address_len) == 0 && address.sin_family == AF_INET &&
	       address.sin_addr.s_addr == htonl(INADDR_LOOPBACK);
}

static bool set_flags(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	return flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int passed_listener_receive(int connection, struct err *err)
{
	char bytes[BYTES_MAX];
	struct iovec part = {.iov_base = bytes, .iov_len = sizeof(bytes)};
	union {
		struct cmsghdr header;
		char bytes[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
	} control;
	struct msghdr message = {
		.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes),
	};
	ssize_t got = recvmsg(connection, &message, RECEIVE_FLAGS | MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
		(void)err_set(err, ERR_STATE, "nothing was passed yet");
		return -1;
	}
	if (got <= 0) {
		(void)err_set(err, ERR_UNREACHABLE, "the other end is gone");
		return -1;
	}
	int descriptors[DESCRIPTORS_MAX];
	size_t count = collect(&message, descriptors);
	if (count == 1 && is_listener(descriptors[0]) && set_flags(descriptors[0]))
		return descriptors[0];
	for (size_t i = 0; i < count; i++)
		(void)close(descriptors[i]);
	(void)err_set(err, ERR_PROTOCOL, "it passed no listener on 127.0.0.1");
	return -1;
}
