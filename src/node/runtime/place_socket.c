/* Owns the socket between a place and its pause program. Called by place.c. Never speaks: a listener comes in, and then
 * nothing but the end.
 *
 *   WAITING --a connection--> HEARING --a listener--> HANDED --its end--> GONE
 *      ^                         │ anything else, its end, or silence
 *      └─────────────────────────┘
 *
 * Who can connect at all: this user, root, and the place's own container. A connection that brings no listener is
 * dropped, and costs the others a moment. */
#include "node/runtime/place_socket.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "net/listener.h"
#include "node/runtime/passed_listener.h"
#include "node/runtime/place_folder.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

enum { SILENCE_MS = 2000, BACKLOG = 4, SOCKET_MODE = 0666 };

enum state {
	WAITING, /* for a connection */
	HEARING, /* for its message */
	HANDED,  /* for the connection's end */
	GONE,    /* for place_socket_close */
};

/* One at a time; on the heap, since the loop keeps its handle for a while. */
struct connection {
	uv_poll_t poll;
	struct place_socket *socket;
	int fd;
};

struct place_socket {
	struct place_socket_events events;
	enum state state;
	uv_loop_t *loop;
	char *directory;
	struct listener *listener; /* NULL from HANDED on */
	struct connection *connection; /* HEARING and HANDED */
	uv_timer_t silence;
};

static void on_connection_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void drop_connection(struct place_socket *socket)
{
	struct connection *connection = steal(socket->connection);
	if (!connection)
		return;
	(void)uv_timer_stop(&socket->silence);
	uv_close((uv_handle_t *)&connection->poll, on_connection_closed);
	(void)close(connection->fd);
}

static void hear_another(struct place_socket *socket)
{
	drop_connection(socket);
	socket->state = WAITING;
	listener_released(socket->listener);
}

static void on_silence(uv_timer_t *timer)
{
	log_debug("runtime", "a place's socket: a connection without a word is dropped");
	hear_another(timer->data);
}

static void hear(struct place_socket *socket)
{
	struct err err;
	int fd = passed_listener_receive(socket->connection->fd, &err);
	if (fd < 0) {
		if (err.code == ERR_STATE)
			return;
		log_debug("runtime", "a place's socket: a connection is dropped: %s", err.text);
		hear_another(socket);
		return;
	}
	socket->state = HANDED;
	(void)uv_timer_stop(&socket->silence);
	listener_close(steal(socket->listener));
	socket->events.on_listener(socket->events.context, fd);
}

/* The program never says more: whatever comes is the end, or is treated as such. */
static void on_ready(uv_poll_t *poll, int status, int events)
{
	struct connection *connection = poll->data;
	struct place_socket *socket = connection->socket;
	(void)status; /* recvmsg tells more */
	(void)events;
	if (socket->connection != connection)
		return;
	if (socket->state == HEARING) {
		hear(socket);
		return;
	}
	drop_connection(socket);
	socket->state = GONE;
	socket->events.on_gone(socket->events.context);
}

static void on_connection(void *context, int fd)
{
	struct place_socket *socket = context;
	struct connection *connection = calloc(1, sizeof(*connection));
	if (!connection || uv_poll_init(socket->loop, &connection->poll, fd)) {
		free(connection);
		(void)close(fd);
		listener_released(socket->listener);
		return;
	}
	connection->socket = socket;
	connection->fd = fd;
	connection->poll.data = connection;
	socket->connection = connection;
	socket->state = HEARING;
	(void)uv_poll_start(&connection->poll, UV_READABLE | UV_DISCONNECT, on_ready);
	(void)uv_timer_start(&socket->silence, on_silence, SILENCE_MS, 0);
}

/* ---- the caller's side ---- */

static int listen_in(const char *directory, struct err *err)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s/%s", directory, PLACE_SOCKET);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
	    chmod(address.sun_path, SOCKET_MODE) == 0 && listen(fd, BACKLOG) == 0)
		return fd;
	(void)err_from_errno(err, errno, "cannot listen on %s", address.sun_path);
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct place_socket *socket = handle->data;
	free(socket->directory);
	free(socket);
}

struct place_socket *place_socket_open(uv_loop_t *loop, const char *folder, const struct place_socket_events *events,
				       struct err *err)
{
	struct place_socket *socket = calloc(1, sizeof(*socket));
	if (!socket) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	socket->events = *events;
	socket->loop = loop;
	(void)uv_timer_init(loop, &socket->silence);
	socket->silence.data = socket;
	const struct listener_options options = {
		.max_connections = 1, .context = socket, .on_connection = on_connection};
	socket->directory = place_folder_add(folder, err);
	int fd = socket->directory ? listen_in(socket->directory, err) : -1;
	if (fd >= 0)
		socket->listener = listener_new(loop, fd, &options, err);
	if (!socket->listener) {
		place_socket_close(socket);
		return NULL;
	}
	return socket;
}

const char *place_socket_directory(const struct place_socket *socket)
{
	return socket->directory;
}

void place_socket_close(struct place_socket *socket)
{
	if (!socket)
		return;
	drop_connection(socket);
	listener_close(steal(socket->listener));
	if (socket->directory)
		place_folder_remove(socket->directory);
	uv_close((uv_handle_t *)&socket->silence, on_timer_closed);
}
