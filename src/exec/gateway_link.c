/* Owns the connection to the gateway. Called by main; waits, and nothing else can happen meanwhile but a signal. Never connects
 * again: the password is good for one connection, so that it is worth nothing to who finds it.
 *
 * Happy path: AUTH, IDM EXEC, IDM NEXT; then for ever (LPUSH or IDM FAIL) + IDM NEXT, each pair in one write, answered by two
 * messages, the second one when there are items. What goes wrong ends it: a lost connection, an error for an answer, an answer of
 * another form. An LPUSH that is refused is such an error too: its result would be missing. */
#include "exec/gateway_link.h"

#include "base/buf.h"
#include "base/clock.h"
#include "exec/signals.h"
#include "net/resp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { OUT_CAP = 65 * 1024 * 1024, KEPT_BYTES = 1024 * 1024, CHUNK = 64 * 1024, CONNECT_MS = 10 * 1000, TEXT_MAX = 200 };

struct gateway_link {
	int fd;
	struct resp_reader *reader;
	struct buf out;
	unsigned acknowledgments;   /* answers that come before that to IDM NEXT */
	struct gateway_item *items; /* of the last answer */
	size_t items_capacity;
};

static int lost(struct err *err)
{
	return err_set(err, ERR_UNREACHABLE, "the connection to the gateway is lost");
}

static int out_of_memory(struct err *err)
{
	return err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- bytes ---- */

static int wait_for(struct gateway_link *link, short events, int64_t deadline_ms, struct err *err)
{
	struct pollfd fd = {.fd = link->fd, .events = events};
	for (;;) {
		int news = signals_poll(&fd, 1, deadline_ms);
		if (signals_stop_asked())
			return err_set(err, ERR_CANCELLED, "asked to end");
		if (news)
			return 0;
		if (deadline_ms && clock_monotonic_ms() >= deadline_ms)
			return err_set(err, ERR_TIMEOUT, "no answer");
	}
}

static int send_all(struct gateway_link *link, struct err *err)
{
	size_t sent = 0;
	while (sent < link->out.len) {
		ssize_t len = send(link->fd, link->out.data + sent, link->out.len - sent, MSG_NOSIGNAL);
		if (len >= 0) {
			sent += (size_t)len;
			continue;
		}
		if (errno != EAGAIN && errno != EINTR)
			return lost(err);
		int rc = wait_for(link, POLLOUT, 0, err);
		if (rc)
			return rc;
	}
	if (link->out.capacity > KEPT_BYTES) {
		buf_done(&link->out);
		buf_init(&link->out, OUT_CAP);
	}
	buf_clear(&link->out);
	return 0;
}

/* The next message; NULL after an error. */
static const struct resp_value *receive(struct gateway_link *link, struct err *err)
{
	static char chunk[CHUNK];
	const struct resp_value *value = NULL;
	int rc = resp_reader_next(link->reader, &value, err);
	while (!rc && !value) {
		rc = wait_for(link, POLLIN, 0, err);
		if (rc)
			break;
		ssize_t len = recv(link->fd, chunk, sizeof(chunk), 0);
		if (len < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		rc = len > 0 ? resp_reader_feed(link->reader, chunk, (size_t)len, err) : lost(err);
		if (!rc)
			rc = resp_reader_next(link->reader, &value, err);
	}
	return rc ? NULL : value;
}

/* ---- questions and answers ---- */

static int refused(const char *what, const struct resp_value *answer, struct err *err)
{
	if (answer->type != RESP_ERROR)
		return err_set(err, ERR_PROTOCOL, "the gateway's answer to %s has no form that this gridexec knows", what);
	return err_set(err, ERR_PROTOCOL, "the gateway refuses %s: %.*s", what, TEXT_MAX, answer->text);
}

/* NULL after an error. */
static const struct resp_value *ask(struct gateway_link *link, size_t argc, const char *const *argv, struct err *err)
{
	int rc = resp_add_command(&link->out, argc, argv, NULL) ? out_of_memory(err) : send_all(link, err);
	return rc ? NULL : receive(link, err);
}

static int connect_to(struct gateway_link *link, const struct gateway_address *address, struct err *err)
{
	link->fd = socket(address->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (link->fd < 0)
		return err_from_errno(err, errno, "a socket for the gateway");
	int on = 1, error = 0;
	socklen_t len = sizeof(error);
	(void)setsockopt(link->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(link->fd, (const struct sockaddr *)&address->address, address->address_len) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return err_from_errno(err, errno, "connecting to the gateway");
	int rc = wait_for(link, POLLOUT, clock_monotonic_ms() + CONNECT_MS, err);
	if (rc)
		return err_wrap(err, "connecting to the gateway");
	if (getsockopt(link->fd, SOL_SOCKET, SO_ERROR, &error, &len))
		error = errno;
	return error ? err_from_errno(err, error, "connecting to the gateway") : 0;
}

static int authenticate(struct gateway_link *link, const struct gateway_address *address, struct err *err)
{
	if (!*address->password)
		return 0;
	const struct resp_value *answer = ask(link, 2, (const char *[]){"AUTH", address->password}, err);
	if (link->out.data)
		explicit_bzero(link->out.data, link->out.capacity);
	if (!answer)
		return err->code;
	return resp_is(answer, "OK") ? 0 : refused("AUTH", answer, err);
}

int gateway_link_open(struct gateway_link **opened, struct gateway_address *address, struct err *err)
{
	struct gateway_link *link = *opened = calloc(1, sizeof(*link));
	if (!link)
		return out_of_memory(err);
	link->fd = -1;
	buf_init(&link->out, OUT_CAP);
	link->reader = resp_reader_new(&RESP_LIMITS_REPLIES);
	int rc = link->reader ? connect_to(link, address, err) : out_of_memory(err);
	if (!rc)
		rc = authenticate(link, address, err);
	gateway_address_forget(address);
	return rc;
}

void gateway_link_free(struct gateway_link *link)
{
	if (!link)
		return;
	if (link->fd >= 0)
		(void)close(link->fd);
	resp_reader_free(link->reader);
	buf_done(&link->out);
	free(link->items);
	free(link);
}

int gateway_link_exec(struct gateway_link *link, const char **text, size_t *len, struct err *err)
{
	const struct resp_value *answer = ask(link, 2, (const char *[]){"IDM", "EXEC"}, err);
	if (!answer)
		return err->code;
	if (answer->type != RESP_BULK)
		return refused("IDM EXEC", answer, err);
	*text = answer->text;
	*len = answer->len;
	return 0;
}

/* A command whose answer comes before that to the next IDM NEXT. */
static int say(struct gateway_link *link, size_t argc, const char *const *argv, const size_t *lens, struct err *err)
{
	int rc = resp_add_command(&link->out, argc, argv, lens);
	if (rc)
		return err_set(err, rc, rc == ERR_TOO_BIG ? "too much for one message to the gateway" : "out of memory");
	link->acknowledgments++;
	return 0;
}

int gateway_link_result(struct gateway_link *link, const char *output_queue, const char *bytes, size_t len, struct err *err)
{
	const char *argv[] = {"LPUSH", output_queue, bytes};
	const size_t lens[] = {5, strlen(output_queue), len};
	return say(link, 3, argv, lens, err);
}

int gateway_link_failure(struct gateway_link *link, const char *reason, int exit_status, const char *log, size_t log_len,
			 struct err *err)
{
	char status[16];
	(void)snprintf(status, sizeof(status), "%d", exit_status);
	const char *argv[] = {"IDM", "FAIL", reason, status, log};
	const size_t lens[] = {3, 4, strlen(reason), strlen(status), log_len};
	return say(link, 5, argv, lens, err);
}

static int take_items(struct gateway_link *link, const struct resp_value *answer, size_t max, struct err *err)
{
	size_t count = answer->count / 2;
	if (answer->type != RESP_ARRAY || answer->count % 2 || count == 0 || count > max)
		return refused("IDM NEXT", answer, err);
	if (count > link->items_capacity) {
		free(link->items);
		link->items = calloc(count, sizeof(*link->items));
		link->items_capacity = link->items ? count : 0;
	}
	if (!link->items)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		const struct resp_value *payload = &answer->elements[2 * i];
		const struct resp_value *failures = payload + 1;
		if (payload->type != RESP_BULK || (failures->type != RESP_INTEGER && failures->type != RESP_BULK))
			return refused("IDM NEXT", answer, err);
		link->items[i] = (struct gateway_item){
			.payload = payload->text,
			.len = payload->len,
			.failures = failures->type == RESP_INTEGER ? failures->integer : strtoll(failures->text, NULL, 10),
		};
	}
	return 0;
}

int gateway_link_next(struct gateway_link *link, size_t max, const struct gateway_item **items, size_t *count, struct err *err)
{
	char number[24];
	(void)snprintf(number, sizeof(number), "%zu", max);
	if (resp_add_command(&link->out, 3, (const char *[]){"IDM", "NEXT", number}, NULL))
		return out_of_memory(err);
	int rc = send_all(link, err);
	if (rc)
		return rc;
	for (; link->acknowledgments; link->acknowledgments--) {
		const struct resp_value *told = receive(link, err);
		if (!told)
			return err->code;
		if (told->type != RESP_STATUS && told->type != RESP_INTEGER)
			return refused("a result or a failure", told, err);
	}
	const struct resp_value *answer = receive(link, err);
	if (!answer)
		return err->code;
	rc = take_items(link, answer, max, err);
	if (rc)
		return rc;
	*items = link->items;
	*count = answer->count / 2;
	return 0;
}

bool gateway_link_is_unsaid(const struct gateway_link *link)
{
	return link->out.len > 0;
}

int gateway_link_fd(const struct gateway_link *link)
{
	return link->fd;
}
