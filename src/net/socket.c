/* Owns the memory of libuv's sockets, which must outlive their closing. Called by dial.c and stream.c; knows no bytes. */
#include "net/socket.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

enum { KEEPALIVE_IDLE_S = 30, KEEPALIVE_INTERVAL_S = 10, KEEPALIVE_PROBES = 3 };

static struct socket *socket_new(void *owner)
{
	struct socket *socket = calloc(1, sizeof(*socket));
	if (socket)
		socket->owner = owner;
	return socket;
}

struct socket *socket_new_tcp(uv_loop_t *loop, void *owner)
{
	struct socket *socket = socket_new(owner);
	if (!socket)
		return NULL;
	(void)uv_tcp_init(loop, &socket->uv.tcp); /* without a descriptor yet, it cannot fail */
	socket->uv.handle.data = socket;
	return socket;
}

struct socket *socket_new_unix(uv_loop_t *loop, void *owner)
{
	struct socket *socket = socket_new(owner);
	if (!socket)
		return NULL;
	(void)uv_pipe_init(loop, &socket->uv.pipe, 0);
	socket->uv.handle.data = socket;
	return socket;
}

void socket_tune(struct socket *socket)
{
	uv_os_fd_t fd;
	if (socket->uv.handle.type != UV_TCP || uv_fileno(&socket->uv.handle, &fd))
		return;
	(void)uv_tcp_nodelay(&socket->uv.tcp, 1);
	(void)uv_tcp_keepalive(&socket->uv.tcp, 1, KEEPALIVE_IDLE_S);
#if defined(TCP_KEEPINTVL) && defined(TCP_KEEPCNT)
	int interval = KEEPALIVE_INTERVAL_S;
	int probes = KEEPALIVE_PROBES;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval, sizeof(interval));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
#endif
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct socket *socket = handle->data;
	if (socket->owner && socket->on_closed)
		socket->on_closed(socket->owner);
	free(socket);
}

void socket_close(struct socket *socket)
{
	if (socket)
		uv_close(&socket->uv.handle, on_handle_closed);
}
