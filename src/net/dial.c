/* Owns the way to a connected socket. Called by stream.c, which also holds the clock: a dial that takes too long is
 * cancelled. Never sends a byte.
 *
 *   RESOLVING --addresses--> CONNECTING --connected--> on_done(socket)
 *      |                      |      ^
 *      |                      +------+ refused: the next address
 *      +--no such name--------+--no address is left--> on_done(NULL, the last error)
 *
 * A Unix socket begins at CONNECTING, with nothing behind it. */
#include "net/dial.h"

#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

/* A name being looked up, by a thread of libuv's that cannot be stopped: so it outlives its dial. */
struct lookup {
	uv_getaddrinfo_t request;
	struct dial *dial; /* NULL when cancelled */
};

struct dial {
	uv_loop_t *loop;
	bool allow_link_local;
	dial_on_done *on_done;
	void *context;
	struct lookup *lookup;
	struct addrinfo *addresses;
	const struct addrinfo *next; /* to try when the present one fails */
	struct socket *socket;       /* connecting */
	struct err last;
};

bool dial_is_link_local(const struct sockaddr *address)
{
	const unsigned char *v4 = NULL;
	if (address->sa_family == AF_INET) {
		v4 = (const unsigned char *)&((const struct sockaddr_in *)(const void *)address)->sin_addr;
	} else if (address->sa_family == AF_INET6) {
		const struct in6_addr *v6 = &((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;
		if (IN6_IS_ADDR_LINKLOCAL(v6))
			return true;
		/* ::ffff:a.b.c.d, and the forbidden old ::a.b.c.d with it */
		if (IN6_IS_ADDR_V4MAPPED(v6) || IN6_IS_ADDR_V4COMPAT(v6))
			v4 = v6->s6_addr + 12;
	}
	return v4 && v4[0] == 169 && v4[1] == 254;
}

static void dial_free(struct dial *dial)
{
	if (dial->addresses)
		uv_freeaddrinfo(dial->addresses);
	free(dial);
}

static void finish(struct dial *dial, struct socket *socket)
{
	if (socket)
		socket->owner = NULL;
	dial->on_done(dial->context, socket, &dial->last);
	dial_free(dial);
}

static void try_next(struct dial *dial);

static void on_connected(uv_connect_t *request, int status)
{
	struct socket *socket = request->handle->data;
	struct dial *dial = socket->owner;
	if (!dial)
		return; /* cancelled */
	dial->socket = NULL;
	if (status == 0) {
		finish(dial, socket);
		return;
	}
	socket->owner = NULL;
	socket_close(socket);
	(void)err_set(&dial->last, ERR_UNREACHABLE, "%s", uv_strerror(status));
	try_next(dial);
}

static const struct addrinfo *next_allowed(struct dial *dial)
{
	while (dial->next) {
		const struct addrinfo *address = dial->next;
		dial->next = address->ai_next;
		if (dial->allow_link_local || !dial_is_link_local(address->ai_addr))
			return address;
		(void)err_set(&dial->last, ERR_DENIED, "this is a link-local address, which is not allowed here");
	}
	return NULL;
}

static void try_next(struct dial *dial)
{
	const struct addrinfo *address;
	while ((address = next_allowed(dial))) {
		struct socket *socket = socket_new_tcp(dial->loop, dial);
		if (!socket) {
			(void)err_set(&dial->last, ERR_NOMEM, "out of memory");
			break;
		}
		int status = uv_tcp_connect(&socket->connect, &socket->uv.tcp, address->ai_addr, on_connected);
		if (status == 0) {
			dial->socket = socket;
			return;
		}
		socket->owner = NULL;
		socket_close(socket);
		(void)err_set(&dial->last, ERR_UNREACHABLE, "%s", uv_strerror(status));
	}
	finish(dial, NULL);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
	struct lookup *lookup = request->data;
	struct dial *dial = lookup->dial;
	free(lookup);
	if (!dial) {
		uv_freeaddrinfo(addresses);
		return;
	}
	dial->lookup = NULL;
	if (status) {
		(void)err_set(&dial->last, ERR_UNREACHABLE, "%s", uv_strerror(status));
		finish(dial, NULL);
		return;
	}
	dial->addresses = addresses;
	dial->next = addresses;
	try_next(dial);
}

static struct dial *dial_new(uv_loop_t *loop, dial_on_done *on_done, void *context, struct err *err)
{
	struct dial *dial = calloc(1, sizeof(*dial));
	if (!dial) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	dial->loop = loop;
	dial->on_done = on_done;
	dial->context = context;
	return dial;
}

struct dial *dial_tcp(uv_loop_t *loop, const char *host, unsigned port, bool allow_link_local, dial_on_done *on_done,
		      void *context, struct err *err)
{
	assert(port > 0 && port <= 65535);
	struct dial *dial = dial_new(loop, on_done, context, err);
	if (!dial)
		return NULL;
	dial->allow_link_local = allow_link_local;
	struct lookup *lookup = calloc(1, sizeof(*lookup));
	int status = UV_ENOMEM;
	if (lookup) {
		lookup->dial = dial;
		lookup->request.data = lookup;
		char service[8];
		(void)snprintf(service, sizeof(service), "%u", port);
		const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
		status = uv_getaddrinfo(loop, &lookup->request, on_resolved, host, service, &hints);
	}
	if (status == 0) {
		dial->lookup = lookup;
		return dial;
	}
	free(lookup);
	free(dial);
	(void)err_set(err, status == UV_ENOMEM ? ERR_NOMEM : ERR_INVALID, "%s", uv_strerror(status));
	return NULL;
}

struct dial *dial_unix(uv_loop_t *loop, const char *path, dial_on_done *on_done, void *context, struct err *err)
{
	/* libuv would cut it. */
	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		(void)err_set(err, ERR_INVALID, "the path of the socket is too long");
		return NULL;
	}
	struct dial *dial = dial_new(loop, on_done, context, err);
	if (!dial)
		return NULL;
	dial->socket = socket_new_unix(loop, dial);
	if (!dial->socket) {
		free(dial);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	uv_pipe_connect(&dial->socket->connect, &dial->socket->uv.pipe, path, on_connected); /* errors come later */
	return dial;
}

void dial_cancel(struct dial *dial)
{
	if (!dial)
		return;
	if (dial->lookup) {
		dial->lookup->dial = NULL;
		(void)uv_cancel((uv_req_t *)&dial->lookup->request);
	}
	if (dial->socket) {
		dial->socket->owner = NULL;
		socket_close(dial->socket);
	}
	dial_free(dial);
}
