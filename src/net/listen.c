/* Owns the reading of bind addresses and the opening of listening sockets. Called by servers at their start; never accepts
 * anything itself. */
#include "net/listen.h"

#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static int resolve(const char *text, struct addrinfo **addresses, struct err *err)
{
	const char *colon = strrchr(text, ':');
	char host[256];
	size_t host_len = colon ? (size_t)(colon - text) : 0;
	if (!colon || host_len >= sizeof(host))
		return err_set(err, ERR_INVALID, "must be address:port, as in 0.0.0.0:8080");

	bool bracketed = host_len >= 2 && text[0] == '[' && text[host_len - 1] == ']';
	(void)snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? host_len - 2 : host_len),
		       bracketed ? text + 1 : text);
	if (!bracketed && strchr(host, ':'))
		return err_set(err, ERR_INVALID, "an IPv6 address stands in brackets, as in [::]:8080");

	const char *port = colon + 1;
	size_t digits = strspn(port, "0123456789");
	if (digits == 0 || digits > 5 || port[digits] || strtol(port, NULL, 10) > 65535)
		return err_set(err, ERR_INVALID, "the port must be 0 to 65535");

	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	if (getaddrinfo(*host ? host : NULL, port, &hints, addresses))
		return err_set(err, ERR_INVALID, "the address must be numeric, as in 0.0.0.0:8080 or [::]:8080");
	return 0;
}

int listen_check_address(const char *address, struct err *err)
{
	struct addrinfo *addresses = NULL;
	int rc = resolve(address, &addresses, err);
	if (!rc)
		freeaddrinfo(addresses);
	return rc;
}

int listen_open(const char *address, struct err *err)
{
	struct addrinfo *addresses = NULL;
	int rc = resolve(address, &addresses, err);
	if (rc) {
		(void)err_wrap(err, "bind");
		return -1;
	}
	assert(addresses);
	int fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		  bind(fd, addresses->ai_addr, addresses->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0;
	int error = errno;
	freeaddrinfo(addresses);
	if (ok)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	(void)err_from_errno(err, error, "cannot listen on %s", address);
	return -1;
}

unsigned listen_port(int fd)
{
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} address = {0};
	socklen_t len = sizeof(address);
	if (getsockname(fd, &address.any, &len))
		return 0;
	return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}
