/* Owns the load's connections: connecting, TLS, sending, and the reading of answers. Called by heartbeats.c and crowd.c;
 * knows nothing of what it carries, and takes nothing but the hub's own form of answers (Content-Length, no chunks).
 *
 *   CONNECTING --> HANDSHAKE (TLS alone) --> IDLE --wire_send--> BUSY --whole answer--> IDLE
 *        |               |                    |                   |
 *        +---------------+--------------------+-------------------+--broken--> LOST (told once)
 *
 * A wire that is closed inside a callback is freed at the end of the turn: an event for it may stand further back in the
 * same batch. */

/* OpenSSL has a type of the name that base/err.h gives to an error. */
#define ERR_STATE OPENSSL_ERR_STATE
#include <openssl/err.h>
#include <openssl/ssl.h>
#undef ERR_STATE

#include "wire.h"

#include "base/buf.h"
#include "base/cleanup.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

enum { ANSWER_MAX = 256 * 1024, READ_MAX = 16 * 1024, BATCH = 512 };

enum wire_state { WIRE_CONNECTING, WIRE_HANDSHAKE, WIRE_IDLE, WIRE_BUSY, WIRE_LOST };

struct wires {
	int epoll;
	struct sockaddr_in address;
	SSL_CTX *tls;        /* NULL: plain */
	struct wire *closed; /* to be freed at the end of the turn */
};

struct wire {
	struct wires *wires;
	struct wire_events events;
	void *owner;
	enum wire_state state;
	int fd;
	SSL *ssl;
	uint32_t watched;   /* what epoll watches for */
	const char *out;    /* what is left to send */
	size_t out_len;
	struct buf answer;  /* a half answer; empty most of the time */
	bool closed;
	struct wire *next_closed;
};

int64_t wires_now_ns(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* ---- ends ---- */

static void lose(struct wire *wire, const char *why)
{
	if (wire->closed || wire->state == WIRE_LOST)
		return;
	wire->state = WIRE_LOST;
	wire->events.on_lost(wire, wire->owner, why);
}

void wire_close(struct wire *wire)
{
	if (!wire || wire->closed)
		return;
	wire->closed = true;
	SSL_free(wire->ssl); /* without a farewell, which nobody would read */
	wire->ssl = NULL;
	(void)close(wire->fd);
	buf_done(&wire->answer);
	wire->next_closed = wire->wires->closed;
	wire->wires->closed = wire;
}

static void free_closed(struct wires *wires)
{
	while (wires->closed) {
		struct wire *wire = wires->closed;
		wires->closed = wire->next_closed;
		free(wire);
	}
}

/* ---- bytes ---- */

static void watch(struct wire *wire, uint32_t events)
{
	if (wire->watched == events)
		return;
	struct epoll_event event = {.events = events, .data.ptr = wire};
	if (epoll_ctl(wire->wires->epoll, wire->watched ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, wire->fd, &event))
		lose(wire, strerror(errno));
	wire->watched = events;
}

/* What OpenSSL waits for, as epoll names it; 0 when it failed. */
static uint32_t tls_waits_for(const struct wire *wire, int result)
{
	switch (SSL_get_error(wire->ssl, result)) {
	case SSL_ERROR_WANT_READ:
		return EPOLLIN;
	case SSL_ERROR_WANT_WRITE:
		return EPOLLOUT;
	default:
		return 0;
	}
}

/* Bytes sent or read; 0: later, and epoll watches for when; -1: lost. */
static ssize_t settle(struct wire *wire, ssize_t done, uint32_t waits_for)
{
	if (done > 0)
		return done;
	if (wire->ssl)
		waits_for = tls_waits_for(wire, (int)done);
	else if (done == 0 || (errno != EAGAIN && errno != EINTR))
		waits_for = 0;
	if (waits_for) {
		watch(wire, waits_for);
		return 0;
	}
	lose(wire, "the server closed the connection");
	return -1;
}

static void send_some(struct wire *wire)
{
	while (wire->out_len > 0) {
		ERR_clear_error();
		ssize_t sent = wire->ssl ? SSL_write(wire->ssl, wire->out, (int)wire->out_len)
					 : send(wire->fd, wire->out, wire->out_len, MSG_NOSIGNAL);
		sent = settle(wire, sent, EPOLLOUT);
		if (sent <= 0)
			return;
		wire->out += sent;
		wire->out_len -= (size_t)sent;
	}
	watch(wire, EPOLLIN);
}

void wire_send(struct wire *wire, const char *request, size_t len)
{
	if (wire->closed || wire->state != WIRE_IDLE)
		return;
	wire->state = WIRE_BUSY;
	wire->out = request;
	wire->out_len = len;
	send_some(wire);
}

/* ---- answers ---- */

static size_t content_length(const char *headers, const char *end)
{
	static const char NAME[] = "\r\nContent-Length:";
	for (const char *line = headers; line && line < end; line = strstr(line + 2, "\r\n")) {
		if (strncasecmp(line, NAME, sizeof(NAME) - 1) == 0)
			return strtoull(line + sizeof(NAME) - 1, NULL, 10);
	}
	return 0;
}

/* Tells the answer if it is whole. */
static void look_for_answer(struct wire *wire)
{
	const char *text = buf_text(&wire->answer);
	const char *end = strstr(text, "\r\n\r\n");
	if (!end)
		return;
	const char *first = strstr(text, "\r\n");
	int status = strncmp(text, "HTTP/1.1 ", 9) == 0 ? (int)strtol(text + 9, NULL, 10) : 0;
	size_t body_len = content_length(first, end);
	size_t head_len = (size_t)(end + 4 - text);
	if (status == 0 || wire->answer.len > head_len + body_len) {
		lose(wire, "the answer is not what a hub sends");
		return;
	}
	if (wire->answer.len < head_len + body_len)
		return;
	struct buf answer = wire->answer; /* on_answer may send, and close */
	buf_init(&wire->answer, ANSWER_MAX);
	wire->state = WIRE_IDLE;
	wire->events.on_answer(wire, wire->owner, status, buf_text(&answer) + head_len);
	buf_done(&answer);
}

static void read_some(struct wire *wire)
{
	static char bytes[READ_MAX];
	while (!wire->closed && wire->state != WIRE_LOST) {
		ERR_clear_error();
		ssize_t count = wire->ssl ? SSL_read(wire->ssl, bytes, sizeof(bytes))
					  : recv(wire->fd, bytes, sizeof(bytes), 0);
		count = settle(wire, count, EPOLLIN);
		if (count <= 0)
			return;
		if (buf_add(&wire->answer, bytes, (size_t)count)) {
			lose(wire, "the answer is too large");
			return;
		}
		look_for_answer(wire);
		if (!wire->ssl && count < (ssize_t)sizeof(bytes))
			return; /* all that was there; epoll tells of more */
	}
}

/* ---- opening ---- */

static void opened(struct wire *wire)
{
	wire->state = WIRE_IDLE;
	watch(wire, EPOLLIN);
	wire->events.on_open(wire, wire->owner);
}

static void shake_hands(struct wire *wire)
{
	ERR_clear_error();
	int rc = SSL_connect(wire->ssl);
	if (rc == 1) {
		opened(wire);
		return;
	}
	uint32_t waits_for = tls_waits_for(wire, rc);
	if (waits_for)
		watch(wire, waits_for);
	else
		lose(wire, "the TLS handshake failed");
}

static void connected(struct wire *wire)
{
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(wire->fd, SOL_SOCKET, SO_ERROR, &error, &len) || error) {
		lose(wire, strerror(error));
	} else if (wire->ssl) {
		wire->state = WIRE_HANDSHAKE;
		shake_hands(wire);
	} else {
		opened(wire);
	}
}

struct wire *wire_open(struct wires *wires, const struct wire_events *events, void *owner, struct err *err)
{
	struct wire *wire = calloc(1, sizeof(*wire));
	if (!wire) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	int on = 1;
	wire->wires = wires;
	wire->events = *events;
	wire->owner = owner;
	buf_init(&wire->answer, ANSWER_MAX);
	wire->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool ok = wire->fd >= 0 && setsockopt(wire->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0 &&
		  (connect(wire->fd, (struct sockaddr *)&wires->address, sizeof(wires->address)) == 0 ||
		   errno == EINPROGRESS);
	if (!ok)
		(void)err_from_errno(err, errno, "cannot connect");
	if (ok && wires->tls) {
		wire->ssl = SSL_new(wires->tls);
		ok = wire->ssl && SSL_set_fd(wire->ssl, wire->fd) == 1;
		if (!ok)
			(void)err_set(err, ERR_INTERNAL, "OpenSSL gives no connection");
	}
	if (!ok) {
		SSL_free(wire->ssl);
		if (wire->fd >= 0)
			(void)close(wire->fd);
		free(wire);
		return NULL;
	}
	watch(wire, EPOLLOUT);
	return wire;
}

/* ---- turns ---- */

static void handle(struct wire *wire)
{
	switch (wire->state) {
	case WIRE_CONNECTING:
		connected(wire);
		break;
	case WIRE_HANDSHAKE:
		shake_hands(wire);
		break;
	case WIRE_BUSY:
		if (wire->out_len > 0)
			send_some(wire);
		else
			read_some(wire);
		break;
	case WIRE_IDLE:
		read_some(wire); /* an end, or a TLS session ticket */
		break;
	case WIRE_LOST:
		break;
	}
}

void wires_turn(struct wires *wires, int timeout_ms)
{
	struct epoll_event events[BATCH];
	int count = epoll_wait(wires->epoll, events, BATCH, timeout_ms);
	for (int i = 0; i < count; i++) {
		struct wire *wire = events[i].data.ptr;
		if (!wire->closed)
			handle(wire);
	}
	free_closed(wires);
}

/* ---- construction ---- */

static int read_target(struct wires *wires, const char *target, bool *tls, struct err *err)
{
	char host[64];
	char rest[2];
	unsigned port;
	*tls = strncmp(target, "https://", 8) == 0;
	const char *authority = strstr(target, "://");
	wires->address = (struct sockaddr_in){.sin_family = AF_INET};
	if (!authority || sscanf(authority + 3, "%63[0-9.]:%5u%1s", host, &port, rest) != 2 || port > 65535 ||
	    inet_pton(AF_INET, host, &wires->address.sin_addr) != 1)
		return err_set(err, ERR_INVALID, "a target is http://127.0.0.1:PORT or https://127.0.0.1:PORT");
	if (ntohl(wires->address.sin_addr.s_addr) >> 24 != 127)
		return err_set(err, ERR_INVALID, "loads go to this machine's loopback alone");
	wires->address.sin_port = htons((uint16_t)port);
	return 0;
}

struct wires *wires_new(const char *target, struct err *err)
{
	bool tls = false;
	struct wires *wires = calloc(1, sizeof(*wires));
	if (!wires) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	wires->epoll = -1;
	int rc = read_target(wires, target, &tls, err);
	if (!rc) {
		wires->epoll = epoll_create1(EPOLL_CLOEXEC);
		rc = wires->epoll < 0 ? err_from_errno(err, errno, "epoll") : 0;
	}
	if (!rc && tls) {
		(void)signal(SIGPIPE, SIG_IGN); /* OpenSSL writes without MSG_NOSIGNAL */
		wires->tls = SSL_CTX_new(TLS_client_method());
		if (wires->tls) {
			(void)SSL_CTX_set_mode(wires->tls, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE);
			SSL_CTX_set_session_cache_mode(wires->tls, SSL_SESS_CACHE_OFF);
		} else {
			rc = err_set(err, ERR_INTERNAL, "OpenSSL gives no context");
		}
	}
	if (rc) {
		wires_free(wires);
		return NULL;
	}
	return wires;
}

void wires_free(struct wires *wires)
{
	if (!wires)
		return;
	free_closed(wires);
	SSL_CTX_free(wires->tls);
	if (wires->epoll >= 0)
		(void)close(wires->epoll);
	free(wires);
}
