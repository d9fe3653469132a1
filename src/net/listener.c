/* Owns a listening descriptor and counts the connections that came from it. Called by the gateway; never reads a byte.
 *
 *   LISTENING --max_connections are open--> FULL --listener_released--> LISTENING
 *   LISTENING --no descriptor or memory to accept with--> RESTING --a moment later--> LISTENING
 *   LISTENING --the descriptor is broken--> BROKEN
 *
 * The kernel's backlog keeps those who wait meanwhile. In every state but LISTENING the descriptor is not watched: it is
 * readable all the while. */
#include "net/listener.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEFAULT_MAX_CONNECTIONS = 1024, DEFAULT_MAX_PER_TURN = 64, REST_MS = 100 };

enum state { LISTENING, FULL, RESTING, BROKEN };

struct listener {
	struct listener_options options;
	enum state state;
	int fd;
	unsigned connections;
	uv_poll_t poll;
	uv_timer_t rest;
	unsigned handles; /* that libuv has not let go of */
	bool closing;
	bool told;        /* of the present trouble */
};

static void on_ready(uv_poll_t *poll, int status, int events);
static void on_rested(uv_timer_t *timer);

static void move(struct listener *listener, enum state state)
{
	listener->state = state;
	if (state == LISTENING)
		(void)uv_poll_start(&listener->poll, UV_READABLE, on_ready);
	else
		(void)uv_poll_stop(&listener->poll);
	if (state == RESTING)
		(void)uv_timer_start(&listener->rest, on_rested, REST_MS, 0);
}

static void on_rested(uv_timer_t *timer)
{
	struct listener *listener = timer->data;
	move(listener, listener->connections < listener->options.max_connections ? LISTENING : FULL);
}

static void trouble(struct listener *listener, enum state state, int error)
{
	move(listener, state);
	bool first = !listener->told;
	listener->told = true;
	if (!first || !listener->options.on_trouble)
		return;
	struct err err = {0};
	(void)err_from_errno(&err, error, "cannot accept connections");
	listener->options.on_trouble(listener->options.context, &err);
}

static int accept_one(int listening)
{
#ifdef __linux__
	return accept4(listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
#else
	int fd = accept(listening, NULL, NULL);
	if (fd >= 0) {
		(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
		(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	return fd;
#endif
}

/* Of the peer, or nothing at all: the next one may be better. */
static bool is_passing(int error)
{
	return error == EINTR || error == ECONNABORTED || error == EPROTO || error == EPERM || error == ENETDOWN ||
	       error == EHOSTUNREACH || error == ENETUNREACH || error == EHOSTDOWN;
}

static bool is_scarcity(int error)
{
	return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct listener *listener = poll->data;
	(void)status; /* accept tells more */
	(void)events;
	for (unsigned i = 0; i < listener->options.max_per_turn && listener->state == LISTENING; i++) {
		int fd = accept_one(listener->fd);
		if (fd >= 0) {
			listener->told = false;
			if (++listener->connections == listener->options.max_connections)
				move(listener, FULL);
			listener->options.on_connection(listener->options.context, fd);
			if (listener->closing)
				return;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			return;
		} else if (!is_passing(errno)) {
			trouble(listener, is_scarcity(errno) ? RESTING : BROKEN, errno);
			return;
		}
	}
}

static int begin(struct listener *listener, uv_loop_t *loop, struct err *err)
{
	int flags = fcntl(listener->fd, F_GETFL);
	if (flags < 0 || fcntl(listener->fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return err_from_errno(err, errno, "cannot listen on descriptor %d", listener->fd);
	int listens = 0;
	socklen_t len = sizeof(listens);
	if (getsockopt(listener->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &len) || !listens)
		return err_set(err, ERR_INVALID, "descriptor %d is no listening socket", listener->fd);
	int status = uv_poll_init(loop, &listener->poll, listener->fd);
	return status ? err_set(err, ERR_IO, "cannot listen: %s", uv_strerror(status)) : 0;
}

struct listener *listener_new(uv_loop_t *loop, int fd, const struct listener_options *options, struct err *err)
{
	assert(options->on_connection);
	struct listener *listener = calloc(1, sizeof(*listener));
	if (!listener) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		(void)close(fd);
		return NULL;
	}
	listener->options = *options;
	if (!options->max_connections)
		listener->options.max_connections = DEFAULT_MAX_CONNECTIONS;
	if (!options->max_per_turn)
		listener->options.max_per_turn = DEFAULT_MAX_PER_TURN;
	listener->fd = fd;
	if (begin(listener, loop, err)) {
		(void)close(fd);
		free(listener);
		return NULL;
	}
	(void)uv_timer_init(loop, &listener->rest);
	listener->poll.data = listener->rest.data = listener;
	listener->handles = 2;
	move(listener, LISTENING);
	return listener;
}

void listener_released(struct listener *listener)
{
	assert(listener->connections > 0);
	listener->connections--;
	if (listener->state == FULL)
		move(listener, LISTENING);
}

unsigned listener_connections(const struct listener *listener)
{
	return listener->connections;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct listener *listener = handle->data;
	if (--listener->handles == 0)
		free(listener);
}

void listener_close(struct listener *listener)
{
	if (!listener || listener->closing)
		return;
	listener->closing = true;
	uv_close((uv_handle_t *)&listener->poll, on_handle_closed);
	uv_close((uv_handle_t *)&listener->rest, on_handle_closed);
	(void)close(listener->fd); /* the poll is stopped */
}
