/* Owns nothing. Called by `gridctl up` while what it started gets ready; blocks, for at most a few seconds. What others send is
 * read up to a cap, and never shown. */
#include "ctl/local_probe.h"

#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { TIMEOUT_S = 2, ANSWER_MAX = 4 * 1024 * 1024, REQUEST_MAX = 1024, CHUNK = 16 * 1024 };

static int open_socket(int family)
{
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	const struct timeval timeout = {.tv_sec = TIMEOUT_S};
	if (fd >= 0) {
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
		(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	}
	return fd;
}

static bool say(int fd, const char *text)
{
	size_t len = strlen(text);
	return send(fd, text, len, MSG_NOSIGNAL) == (ssize_t)len;
}

bool local_probe_redis(const char *socket_path)
{
	static const char PONG[] = "+PONG\r\n";
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	char answer[sizeof(PONG)] = "";
	if (strlen(socket_path) >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	AUTO_CLOSE int fd = open_socket(AF_UNIX);
	return fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && say(fd, "PING\r\n") &&
	       recv(fd, answer, sizeof(PONG) - 1, MSG_WAITALL) == (ssize_t)sizeof(PONG) - 1 && strcmp(answer, PONG) == 0;
}

/* To the end of the connection, or to the cap. */
static bool hear_all(int fd, struct buf *answer)
{
	char chunk[CHUNK];
	for (;;) {
		ssize_t len = recv(fd, chunk, sizeof(chunk), 0);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return len == 0;
		if (buf_add(answer, chunk, (size_t)len))
			return false;
	}
}

static int connect_to(const char *host, unsigned port)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((unsigned short)port)};
	if (inet_pton(AF_INET, host, &address.sin_addr) != 1)
		return -1;
	int fd = open_socket(AF_INET);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool local_probe_hub(const char *host, unsigned port, const char *path, const char *token, struct buf *body)
{
	char request[REQUEST_MAX];
	char status[16] = "";
	/* 1.0: an answer that is not cut into chunks, and the connection ends behind it. */
	int len = snprintf(request, sizeof(request), "GET %s HTTP/1.0\r\nHost: %s:%u\r\n%s%s%s\r\n", path, host, port,
			   *token ? "Authorization: Bearer " : "", token, *token ? "\r\n" : "");
	AUTO_CLOSE int fd = len > 0 && (size_t)len < sizeof(request) ? connect_to(host, port) : -1;
	struct buf answer;
	buf_init(&answer, ANSWER_MAX);
	bool good = fd >= 0 && say(fd, request) && hear_all(fd, &answer) &&
		    sscanf(buf_text(&answer), "HTTP/%*s %15s", status) == 1 && strcmp(status, "200") == 0;
	const char *rest = good ? strstr(buf_text(&answer), "\r\n\r\n") : NULL;
	if (rest && body)
		good = buf_add(body, rest + 4, answer.len - (size_t)(rest + 4 - buf_text(&answer))) == 0;
	buf_done(&answer);
	return good && rest;
}
