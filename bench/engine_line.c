/* Owns one blocking HTTP connection to an engine's Unix socket. Called by engine_calls.c from many threads, each with a line
 * of its own; no library in between, so that nothing but the engine takes time. */
#include "engine_line.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = 256 * 1024, REQUEST_MAX = 64 * 1024, PATIENCE_S = 120 };

int engine_line_open(struct engine_line *line, const char *socket_path, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	buf_init(&line->answer, ANSWER_MAX);
	line->fd = -1;
	if (strlen(socket_path) >= sizeof(address.sun_path))
		return err_set(err, ERR_INVALID, "%s is too long for a Unix socket", socket_path);
	memcpy(address.sun_path, socket_path, strlen(socket_path) + 1);
	line->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (line->fd < 0 || setsockopt(line->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) ||
	    connect(line->fd, (struct sockaddr *)&address, sizeof(address)))
		return err_from_errno(err, errno, "%s", socket_path);
	return 0;
}

void engine_line_close(struct engine_line *line)
{
	if (line->fd >= 0)
		(void)close(line->fd);
	line->fd = -1;
	buf_done(&line->answer);
}

static int send_all(struct engine_line *line, const char *bytes, size_t len, struct err *err)
{
	while (len > 0) {
		ssize_t sent = send(line->fd, bytes, len, MSG_NOSIGNAL);
		if (sent < 0)
			return err_from_errno(err, errno, "sending to the engine");
		bytes += sent;
		len -= (size_t)sent;
	}
	return 0;
}

static int read_more(struct engine_line *line, struct err *err)
{
	char bytes[8192];
	ssize_t count = recv(line->fd, bytes, sizeof(bytes), 0);
	if (count < 0)
		return err_from_errno(err, errno, "reading from the engine");
	if (count == 0)
		return err_set(err, ERR_UNREACHABLE, "the engine closed the connection");
	return buf_add(&line->answer, bytes, (size_t)count) ? err_set(err, ERR_TOO_BIG, "the engine says too much") : 0;
}

static const char *header(const struct engine_line *line, const char *name)
{
	size_t len = strlen(name);
	const char *end = line->answer.data + line->body_at;
	for (const char *at = strstr(line->answer.data, "\r\n"); at && at + 2 < end; at = strstr(at + 2, "\r\n")) {
		if (strncasecmp(at + 2, name, len) == 0 && at[2 + len] == ':')
			return at + 2 + len + 1;
	}
	return NULL;
}

static bool is_whole(const struct engine_line *line)
{
	const char *length = header(line, "Content-Length");
	const char *body = line->answer.data + line->body_at;
	size_t have = line->answer.len - line->body_at;
	if (length)
		return have >= strtoull(length, NULL, 10);
	if (header(line, "Transfer-Encoding"))
		return have >= 5 && strcmp(body + have - 5, "0\r\n\r\n") == 0;
	return true; /* 204 */
}

const char *engine_line_rest(struct engine_line *line, struct err *err)
{
	while (!is_whole(line)) {
		if (read_more(line, err))
			return NULL;
	}
	return line->answer.data + line->body_at;
}

int engine_line_ask(struct engine_line *line, const char *method, const char *path, const char *body, struct err *err)
{
	struct buf request;
	buf_init(&request, REQUEST_MAX);
	buf_clear(&line->answer);
	int rc = buf_printf(&request,
			    "%s %s HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
			    method, path, body ? strlen(body) : 0, body ? body : "");
	rc = rc ? err_set(err, ERR_TOO_BIG, "%s is too long a call", path) : send_all(line, request.data, request.len, err);
	buf_done(&request);
	const char *end = NULL;
	while (!rc && !(end = strstr(buf_text(&line->answer), "\r\n\r\n")))
		rc = read_more(line, err);
	if (rc)
		return rc;
	line->body_at = (size_t)(end + 4 - line->answer.data);
	if (strncmp(line->answer.data, "HTTP/1.1 2", 10) == 0)
		return 0;
	const char *said = engine_line_rest(line, NULL);
	return err_set(err, ERR_PROTOCOL, "%s %s: %.12s: %.300s", method, path, line->answer.data, said ? said : "");
}
