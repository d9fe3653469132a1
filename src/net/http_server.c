/* Owns the listening socket, its connections and their deadlines: libmicrohttpd (MHD) on a libuv loop. Called by the
 * hub; never blocks, and never looks into a request (http_exchange.c does).
 *
 * MHD runs in external epoll mode: its epoll descriptor is watched by libuv, MHD_run does what is ready, and
 * MHD_get_timeout says when to run again without anything ready.
 *
 * Deadlines: MHD's own timeout counts from the last byte and never cuts a byte-a-second sender. So every connection
 * that owes a whole request stands in a list ordered by since when; the head is shut down when it is overdue. */
#include "net/http_server.h"

#include "base/clock.h"
#include "net/http_exchange.h"
#include "net/listen.h"

#include <assert.h>
#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

enum {
	CONNECTION_MEMORY = 8 * 1024, /* 4 KB refuses 6 KB of headers; the default costs 33 KB each */
	SWEEP_MS = 1000,
	IDLE_TIMEOUT_S = 120,         /* MHD's own: a reader of an answer who stopped reading */
};

struct http_server {
	uv_loop_t *loop;
	struct MHD_Daemon *daemon;
	struct http_server_options options;
	struct http_exchanges exchanges;
	uv_poll_t poll;
	uv_timer_t run_timer;
	uv_timer_t sweep_timer;
	struct http_connection *waiting; /* longest first */
	bool running;                    /* MHD_run is on the stack */
	bool run_again;                  /* meanwhile there is more for it to do */
	bool closing;
	unsigned handles;                /* libuv handles not yet closed */
};

/* ---- MHD on the loop ---- */

static void on_run_timer(uv_timer_t *timer);

static void run(struct http_server *server)
{
	if (server->closing)
		return;
	server->running = true;
	server->run_again = false;
	(void)MHD_run(server->daemon);
	server->running = false;

	MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
	if (server->run_again || MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES)
		(void)uv_timer_start(&server->run_timer, on_run_timer, timeout_ms, 0);
	else
		(void)uv_timer_stop(&server->run_timer);
}

static void run_soon(struct http_server *server)
{
	if (server->running)
		server->run_again = true; /* run() decides about the timer when it is done */
	else if (!server->closing)
		(void)uv_timer_start(&server->run_timer, on_run_timer, 0, 0);
}

static void on_run_timer(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

/* ---- deadlines ---- */

static void start_waiting(struct http_connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->waiting)
		DL_DELETE(server->waiting, connection);
	connection->waiting = true;
	connection->since_ms = clock_monotonic_ms();
	DL_APPEND(server->waiting, connection);
}

static void stop_waiting(struct http_connection *connection)
{
	if (!connection->waiting)
		return;
	connection->waiting = false;
	DL_DELETE(connection->server->waiting, connection);
}

static void on_sweep(uv_timer_t *timer)
{
	struct http_server *server = timer->data;
	int64_t now = clock_monotonic_ms();
	while (server->waiting && now - server->waiting->since_ms >= server->options.request_timeout_ms) {
		struct http_connection *overdue = server->waiting;
		stop_waiting(overdue);
		(void)shutdown(overdue->fd, SHUT_RDWR); /* MHD reads the end, and closes it */
	}
	http_exchanges_watch_held(&server->exchanges);
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_connection *connection = *socket_context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		connection = calloc(1, sizeof(*connection));
		if (!connection || !info) {
			free(connection);
			return; /* its requests are cut in http_exchange_on_access */
		}
		connection->server = context;
		connection->fd = info->connect_fd;
		*socket_context = connection;
		start_waiting(connection);
	} else if (connection) {
		assert(!connection->gone_watch);
		stop_waiting(connection);
		run_soon(connection->server); /* at its limit MHD takes the next connection only when it runs again */
		*socket_context = NULL;
		free(connection);
	}
}

static struct http_connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

/* ---- construction ---- */

/* A "%00" would end the text early and name something else: such a text names nothing. */
static size_t unescape(void *context, struct MHD_Connection *mhd, char *text)
{
	(void)context;
	(void)mhd;
	size_t len = MHD_http_unescape(text);
	if (strlen(text) == len)
		return len;
	text[0] = '\0';
	return 0;
}

static int start_daemon(struct http_server *server, struct err *err)
{
	int fd = listen_open(server->options.bind, err);
	if (fd < 0)
		return err ? (int)err->code : ERR_IO;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, http_exchange_on_access, &server->exchanges,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
		server->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
		http_exchange_on_completed, &server->exchanges,
		MHD_OPTION_END);
	if (server->daemon)
		return 0;
	(void)close(fd);
	return err_set(err, ERR_INTERNAL, "the HTTP server could not start");
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct http_server *server = handle->data;
	if (--server->handles == 0)
		free(server);
}

static int watch_daemon(struct http_server *server, struct err *err)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	if (!info || uv_poll_init(server->loop, &server->poll, info->epoll_fd))
		return err_set(err, ERR_INTERNAL, "the HTTP server has no descriptor to watch");
	(void)uv_timer_init(server->loop, &server->run_timer);
	(void)uv_timer_init(server->loop, &server->sweep_timer);
	server->handles = 3;
	server->poll.data = server->run_timer.data = server->sweep_timer.data = server;
	(void)uv_poll_start(&server->poll, UV_READABLE, on_ready);
	(void)uv_timer_start(&server->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
	return 0;
}

struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_options *options, struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	server->loop = loop;
	server->options = *options;
	server->exchanges = (struct http_exchanges){.loop = loop,
						    .options = &server->options,
						    .connection_of = connection_of,
						    .start_waiting = start_waiting,
						    .stop_waiting = stop_waiting,
						    .run_soon = run_soon};
	int rc = start_daemon(server, err);
	if (!rc)
		rc = watch_daemon(server, err);
	if (rc) {
		if (server->daemon)
			MHD_stop_daemon(server->daemon);
		free(server);
		return NULL;
	}
	server->options.bind = NULL; /* the caller's; it may go now */
	return server;
}

unsigned http_server_port(const struct http_server *server)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_LISTEN_FD);
	return info ? listen_port(info->listen_fd) : 0;
}

void http_server_close(struct http_server *server)
{
	if (!server)
		return;
	assert(!server->running);
	http_exchanges_cut_held(&server->exchanges);
	(void)uv_poll_stop(&server->poll); /* before MHD closes its descriptor */
	server->closing = true;
	MHD_stop_daemon(server->daemon);
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	uv_close((uv_handle_t *)&server->run_timer, on_handle_closed);
	uv_close((uv_handle_t *)&server->sweep_timer, on_handle_closed);
}
