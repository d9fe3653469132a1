/* Owns one connection: its socket, its TLS, what waits to be sent. Called by the Redis client and the gateway; never knows
 * what the bytes mean, never blocks, never logs.
 *
 *   DIALING --connected--> HANDSHAKING --TLS is done--> OPEN --stream_end--> ENDING --the peer ended--> CLOSED
 *      |           |            |        on_open          |                     |    (or some seconds)  on_closed
 *      |           +--no TLS----|----------^              |                     |
 *      +--failed----------------+--failed-----------------+--lost---------------+--> CLOSED, on_closed
 *      +--stream_close----------+-------------------------+---------------------+--> CLOSED, silent
 *
 * DIALING waits for dial.c, or for the end of the turn with a descriptor that came connected. A stream_end that comes
 * before OPEN waits for it (`ending`). CLOSED waits for libuv to let go of the handles.
 *
 * Whatever a function of the header starts happens in on_turn, an idle handle's callback: it runs before the loop waits
 * for events, wherever in the turn it was started. So the writes of a turn leave together, no callback comes from
 * inside a call, and nothing is freed under anybody's feet. */
#include "net/stream.h"

#include "base/buf.h"
#include "net/dial.h"
#include "net/sender.h"
#include "net/socket.h"
#include "net/tls.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	DEFAULT_MAX_QUEUE = 16 * 1024 * 1024,
	DEFAULT_LOW_WATER = 64 * 1024,
	DEFAULT_CONNECT_TIMEOUT_MS = 10000,
	END_TIMEOUT_MS = 5000,
	READ_SIZE = 64 * 1024,
};

enum state { DIALING, HANDSHAKING, OPEN, ENDING, CLOSED };

struct stream {
	uv_loop_t *loop;
	struct stream_options options; /* without the strings */
	enum state state;
	char *name;                    /* of the peer, for messages: "host:port" */
	char *tls_host;                /* NULL on a server's side */
	struct dial *dial;             /* while DIALING */
	struct socket *socket;         /* NULL before it is connected */
	struct tls_session *tls;       /* NULL without TLS */
	uv_idle_t idle;                /* while `turn` is wanted */
	uv_timer_t timer;              /* until OPEN, and of ENDING */
	unsigned handles;              /* that libuv has not let go of */

	struct sender sender;
	struct buf plain;      /* TLS only: what is not enciphered yet */
	uv_shutdown_t shutdown;
	bool shut;             /* nothing more is sent */
	bool tell_drained;
	bool ending;
	bool paused;
	bool reading;          /* libuv reads */
};

/* ---- the end ---- */

static void let_go(struct stream *stream)
{
	if (--stream->handles > 0)
		return;
	tls_session_free(stream->tls);
	tls_context_free(stream->options.tls);
	sender_done(&stream->sender);
	buf_done(&stream->plain);
	free(stream->name);
	free(stream->tls_host);
	free(stream);
}

static void on_handle_closed(uv_handle_t *handle)
{
	let_go(handle->data);
}

static void on_socket_closed(void *owner)
{
	let_go(owner);
}

static void close_all(struct stream *stream)
{
	assert(stream->state != CLOSED);
	stream->state = CLOSED;
	dial_cancel(stream->dial);
	stream->dial = NULL;
	socket_close(stream->socket);
	uv_close((uv_handle_t *)&stream->idle, on_handle_closed);
	uv_close((uv_handle_t *)&stream->timer, on_handle_closed);
}

static void finish(struct stream *stream, const struct err *reason)
{
	if (stream->state == CLOSED)
		return;
	close_all(stream);
	stream->options.on_closed(stream->options.context, reason);
}

/* The end that nobody wanted; reason is without the peer's name. */
static void fail(struct stream *stream, const struct err *reason)
{
	struct err named = *reason;
	const char *what = stream->state <= HANDSHAKING ? "cannot connect to " : "";
	(void)err_wrap(&named, "%s%s", what, stream->name);
	finish(stream, &named);
}

static void fail_uv(struct stream *stream, int status)
{
	struct err err = {0};
	const char *text = status == UV_EOF ? "the connection was closed by the other side" : uv_strerror(status);
	(void)err_set(&err, status == UV_ENOMEM ? ERR_NOMEM : ERR_UNREACHABLE, "%s", text);
	fail(stream, &err);
}

static void on_timeout(uv_timer_t *timer)
{
	struct stream *stream = timer->data;
	struct err err = {0};
	if (stream->state == ENDING) {
		finish(stream, &err); /* the peer had its time */
		return;
	}
	(void)err_set(&err, ERR_TIMEOUT, "no connection within %lld ms%s", (long long)stream->options.connect_timeout_ms,
		      stream->state == HANDSHAKING ? ": the other side does not answer TLS; does it speak TLS at all?" : "");
	fail(stream, &err);
}

/* ---- sending ---- */

static void on_turn(uv_idle_t *idle);

static void want_turn(struct stream *stream)
{
	(void)uv_idle_start(&stream->idle, on_turn);
}

size_t stream_queued(const struct stream *stream)
{
	return stream->plain.len + sender_len(&stream->sender);
}

static void flush(struct stream *stream);

static void on_sent(void *context, int status)
{
	struct stream *stream = context;
	if (stream->state == CLOSED)
		return;
	if (status < 0)
		fail_uv(stream, status);
	else
		flush(stream);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
	(void)request;
	(void)status; /* the read tells */
}

/* All is sent: says so to the peer. */
static void shut(struct stream *stream)
{
	struct err err = {0};
	stream->shut = true;
	if (stream->tls && !tls_session_end(stream->tls, &stream->sender.waiting, &err))
		(void)sender_flush(&stream->sender, &stream->socket->uv.stream); /* the read tells what went wrong */
	(void)uv_shutdown(&stream->shutdown, &stream->socket->uv.stream, on_shutdown);
}

static void check_drained(struct stream *stream)
{
	if (!stream->tell_drained || stream_queued(stream) > stream->options.low_water)
		return;
	stream->tell_drained = false;
	if (stream->options.on_drained)
		stream->options.on_drained(stream->options.context);
}

static void flush(struct stream *stream)
{
	if (!stream->socket || stream->shut)
		return;
	struct err err = {0};
	bool may_leave = stream->state == OPEN || stream->state == ENDING;
	if (may_leave && stream->plain.len > 0) {
		int rc = tls_session_write(stream->tls, stream->plain.data, stream->plain.len, &stream->sender.waiting,
					   &err);
		sender_empty(&stream->plain);
		if (rc) {
			fail(stream, &err);
			return;
		}
	}
	int status = sender_flush(&stream->sender, &stream->socket->uv.stream);
	if (status < 0) {
		fail_uv(stream, status);
		return;
	}
	if (stream_queued(stream) > stream->options.low_water)
		stream->tell_drained = true;
	if (stream->state == ENDING && stream_queued(stream) == 0)
		shut(stream);
	else if (stream->state == OPEN)
		check_drained(stream);
}

int stream_write(struct stream *stream, const void *bytes, size_t len)
{
	if (stream->state == CLOSED || stream->ending)
		return ERR_STATE;
	size_t queued = stream_queued(stream);
	if (queued > stream->options.max_queue || len > stream->options.max_queue - queued) {
		stream->tell_drained = true;
		return ERR_TOO_BIG;
	}
	int rc = buf_add(stream->options.tls ? &stream->plain : &stream->sender.waiting, bytes, len);
	if (!rc)
		want_turn(stream);
	return rc;
}

/* ---- receiving ---- */

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *into)
{
	/* libuv gives it back in on_read at once, and a loop has one thread: all streams share it. */
	static _Thread_local char scratch[READ_SIZE];
	(void)handle;
	(void)suggested;
	*into = uv_buf_init(scratch, sizeof(scratch));
}

static void opened(struct stream *stream);

static void handshake(struct stream *stream)
{
	struct err err = {0};
	bool done = false;
	int rc = tls_session_handshake(stream->tls, &stream->sender.waiting, &done, &err);
	flush(stream); /* the peer learns why, too */
	if (stream->state != HANDSHAKING)
		return;
	if (rc)
		fail(stream, &err);
	else if (done)
		opened(stream);
}

/* Plain bytes from what TLS holds, as long as somebody wants them. */
static void deliver_tls(struct stream *stream)
{
	char plain[16 * 1024]; /* a record */
	while ((stream->state == OPEN && !stream->paused) || stream->state == ENDING) {
		struct err err = {0};
		bool ended = false;
		long len = tls_session_read(stream->tls, plain, sizeof(plain), &stream->sender.waiting, &ended, &err);
		if (stream->sender.waiting.len > 0)
			want_turn(stream);
		if (len > 0 && stream->state == OPEN)
			stream->options.on_data(stream->options.context, plain, (size_t)len);
		else if (len < 0)
			fail(stream, &err);
		else if (ended)
			fail_uv(stream, UV_EOF);
		if (len <= 0)
			return;
	}
}

static void receive_tls(struct stream *stream, const char *bytes, size_t len)
{
	struct err err = {0};
	if (tls_session_receive(stream->tls, bytes, len, &err)) {
		fail(stream, &err);
		return;
	}
	if (stream->state == HANDSHAKING)
		handshake(stream);
	deliver_tls(stream);
}

static void on_read(uv_stream_t *uv, ssize_t len, const uv_buf_t *bytes)
{
	struct stream *stream = ((struct socket *)uv->data)->owner;
	struct err none = {0};
	if (len == 0 || stream->state == CLOSED)
		return;
	if (len < 0 && stream->state == ENDING)
		finish(stream, &none);
	else if (len < 0)
		fail_uv(stream, (int)len);
	else if (stream->tls)
		receive_tls(stream, bytes->base, (size_t)len);
	else if (stream->state == OPEN)
		stream->options.on_data(stream->options.context, bytes->base, (size_t)len);
}

/* libuv reads whenever somebody wants the bytes: TLS before OPEN, the owner unless paused, the end to drop them. */
static void adjust_reading(struct stream *stream)
{
	bool wanted = stream->state == HANDSHAKING || stream->state == ENDING ||
		      (stream->state == OPEN && !stream->paused);
	if (!stream->socket || stream->state == CLOSED || wanted == stream->reading)
		return;
	stream->reading = wanted;
	int status = wanted ? uv_read_start(&stream->socket->uv.stream, on_alloc, on_read)
			    : uv_read_stop(&stream->socket->uv.stream);
	if (status < 0)
		fail_uv(stream, status);
}

void stream_pause(struct stream *stream)
{
	stream->paused = true;
	if (stream->reading && stream->state == OPEN) {
		stream->reading = false;
		(void)uv_read_stop(&stream->socket->uv.stream);
	}
}

void stream_resume(struct stream *stream)
{
	if (!stream->paused)
		return;
	stream->paused = false;
	if (stream->state != CLOSED)
		want_turn(stream);
}

/* ---- from state to state ---- */

static void begin_ending(struct stream *stream)
{
	stream->state = ENDING;
	(void)uv_timer_start(&stream->timer, on_timeout, END_TIMEOUT_MS, 0);
	want_turn(stream);
}

static void opened(struct stream *stream)
{
	stream->state = OPEN;
	(void)uv_timer_stop(&stream->timer);
	want_turn(stream); /* for what was written before, and to read */
	if (stream->options.on_open)
		stream->options.on_open(stream->options.context);
	if (stream->ending && stream->state == OPEN)
		begin_ending(stream);
}

static void connected(struct stream *stream)
{
	if (!stream->options.tls) {
		opened(stream);
		return;
	}
	struct err err = {0};
	stream->state = HANDSHAKING;
	stream->tls = tls_session_new(stream->options.tls, stream->tls_host, &err);
	if (!stream->tls) {
		fail(stream, &err);
		return;
	}
	want_turn(stream);
	handshake(stream);
}

static void adopt(struct stream *stream, struct socket *socket)
{
	stream->socket = socket;
	stream->handles++;
	socket->owner = stream;
	socket->on_closed = on_socket_closed;
	socket_tune(socket);
}

static void on_dialed(void *context, struct socket *socket, const struct err *err)
{
	struct stream *stream = context;
	stream->dial = NULL;
	if (!socket) {
		fail(stream, err);
		return;
	}
	adopt(stream, socket);
	connected(stream);
}

static void on_turn(uv_idle_t *idle)
{
	struct stream *stream = idle->data;
	(void)uv_idle_stop(idle);
	if (stream->state == DIALING && stream->socket)
		connected(stream);
	if (stream->state != CLOSED)
		flush(stream);
	adjust_reading(stream);
	if (stream->tls && stream->state != CLOSED)
		deliver_tls(stream); /* what was held back while paused */
}

void stream_end(struct stream *stream)
{
	if (stream->ending || stream->state == CLOSED)
		return;
	stream->ending = true;
	if (stream->state == OPEN)
		begin_ending(stream);
}

void stream_close(struct stream *stream)
{
	if (stream && stream->state != CLOSED)
		close_all(stream);
}

/* ---- construction ---- */

static struct stream *stream_new(uv_loop_t *loop, const struct stream_options *options, const char *name,
				 const char *tls_host, struct err *err)
{
	assert(options->on_data && options->on_closed);
	struct stream *stream = calloc(1, sizeof(*stream));
	char *name_copy = strdup(name);
	char *host_copy = tls_host ? strdup(tls_host) : NULL;
	if (!stream || !name_copy || (tls_host && !host_copy)) {
		free(stream);
		free(name_copy);
		free(host_copy);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	stream->loop = loop;
	stream->options = *options;
	stream->options.tls_host = NULL;
	stream->options.tls = tls_context_ref(options->tls);
	if (!options->max_queue)
		stream->options.max_queue = DEFAULT_MAX_QUEUE;
	if (!options->low_water)
		stream->options.low_water = DEFAULT_LOW_WATER;
	if (!options->connect_timeout_ms)
		stream->options.connect_timeout_ms = DEFAULT_CONNECT_TIMEOUT_MS;
	stream->name = name_copy;
	stream->tls_host = host_copy;
	sender_init(&stream->sender, stream, on_sent);
	buf_init(&stream->plain, SIZE_MAX / 4); /* stream_write holds the cap over all of it */
	(void)uv_idle_init(loop, &stream->idle);
	(void)uv_timer_init(loop, &stream->timer);
	stream->idle.data = stream->timer.data = stream;
	stream->handles = 2;
	(void)uv_timer_start(&stream->timer, on_timeout, (uint64_t)stream->options.connect_timeout_ms, 0);
	return stream;
}

struct stream *stream_connect_tcp(uv_loop_t *loop, const char *host, unsigned port, const struct stream_options *options,
				  struct err *err)
{
	char name[300];
	bool v6 = strchr(host, ':') != NULL;
	(void)snprintf(name, sizeof(name), v6 ? "[%.256s]:%u" : "%.256s:%u", host, port);
	struct stream *stream = stream_new(loop, options, name, options->tls_host ? options->tls_host : host, err);
	if (!stream)
		return NULL;
	stream->dial = dial_tcp(loop, host, port, options->allow_link_local, on_dialed, stream, err);
	if (stream->dial)
		return stream;
	(void)err_wrap(err, "cannot connect to %s", name);
	stream_close(stream);
	return NULL;
}

struct stream *stream_connect_unix(uv_loop_t *loop, const char *path, const struct stream_options *options,
				   struct err *err)
{
	struct stream *stream = stream_new(loop, options, path, options->tls_host ? options->tls_host : "localhost", err);
	if (!stream)
		return NULL;
	stream->dial = dial_unix(loop, path, on_dialed, stream, err);
	if (stream->dial)
		return stream;
	(void)err_wrap(err, "cannot connect to %s", path);
	stream_close(stream);
	return NULL;
}

static int open_socket(struct socket *socket, bool is_unix, int fd)
{
	return is_unix ? uv_pipe_open(&socket->uv.pipe, fd) : uv_tcp_open(&socket->uv.tcp, fd);
}

struct stream *stream_open_fd(uv_loop_t *loop, int fd, const struct stream_options *options, struct err *err)
{
	struct sockaddr_storage address = {0};
	socklen_t len = sizeof(address);
	bool is_unix = getsockname(fd, (struct sockaddr *)&address, &len) == 0 && address.ss_family == AF_UNIX;
	struct stream *stream = stream_new(loop, options, "the client", NULL, err);
	struct socket *socket = stream ? (is_unix ? socket_new_unix(loop, NULL) : socket_new_tcp(loop, NULL)) : NULL;
	int status = socket ? open_socket(socket, is_unix, fd) : UV_ENOMEM;
	if (status == 0) {
		adopt(stream, socket);
		want_turn(stream);
		return stream;
	}
	(void)close(fd);
	socket_close(socket);
	if (stream) {
		(void)err_set(err, ERR_IO, "cannot use a connection: %s", uv_strerror(status));
		stream_close(stream);
	}
	return NULL;
}
