/* Owns the listening socket, its connections and their deadlines: libmicrohttpd (MHD) on a libuv loop. Called by the
 * hub; never blocks, and never looks into a request (http_exchange.c does).
 *
 * MHD runs in external epoll mode: its epoll descriptor is watched by libuv, MHD_run does what is ready, and
 * MHD_get_timeout says when to run again without anything ready.
 *
 * Deadlines: MHD's own timeout counts from the last byte and never cuts a byte-a-second sender. So every connection
 * that owes a whole request stands in a list ordered by since when; the head is shut down when it is overdue. A TLS
 * handshake is part of what is owed.
 *
 * TLS: GnuTLS inside MHD, which asks here at each handshake what to show, so that a new certificate needs no new
 * daemon. Bytes that GnuTLS has read ahead are announced by no descriptor; MHD_get_timeout is 0 then. Alas it is 0 too
 * as long as any handshake waits for its peer, who may take his time: then runs that nothing announced are paced. */
#include "net/http_server.h"

#include "base/clock.h"
#include "net/http_exchange.h"
#include "net/listen.h"
#include "net/tls_identity.h"

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
	PACE = 4,                     /* a paced run is followed by a pause this many times as long, */
	PACE_MIN_MS = 1,              /* at least this */
};

/* TLS 1.2 and 1.3, and only key exchanges that a key stolen later does not open. */
static const char TLS_PRIORITIES[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2:-RSA:-DHE-RSA";

struct http_server {
	uv_loop_t *loop;
	struct MHD_Daemon *daemon;
	struct http_server_options options;
	struct http_exchanges exchanges;
	uv_poll_t poll;
	uv_timer_t run_timer;
	uv_idle_t run_now;               /* at the next turn; a timer of 0 that starts itself would end no turn */
	uv_timer_t sweep_timer;
	struct http_connection *waiting; /* longest first */
	unsigned greeting;               /* connections whose handshake may be under way */
	bool running;                    /* MHD_run is on the stack */
	bool run_again;                  /* meanwhile there is more for it to do */
	bool closing;
	unsigned handles;                /* libuv handles not yet closed */
};

/* ---- MHD on the loop ---- */

static void on_run_timer(uv_timer_t *timer);
static void on_run_now(uv_idle_t *idle);

static void run_in(struct http_server *server, uint64_t ms)
{
	if (ms > 0)
		(void)uv_timer_start(&server->run_timer, on_run_timer, ms, 0);
	else
		(void)uv_idle_start(&server->run_now, on_run_now);
}

static void run(struct http_server *server, bool announced)
{
	if (server->closing)
		return;
	(void)uv_idle_stop(&server->run_now);
	(void)uv_timer_stop(&server->run_timer);
	server->running = true;
	server->run_again = false;
	uint64_t begun_ns = uv_hrtime();
	(void)MHD_run(server->daemon);
	server->running = false;

	MHD_UNSIGNED_LONG_LONG timeout_ms = 0;
	if (!server->run_again && MHD_get_timeout(server->daemon, &timeout_ms) != MHD_YES)
		return;
	if (!server->run_again && !announced && timeout_ms == 0 && server->greeting > 0)
		timeout_ms = PACE_MIN_MS + PACE * (uv_hrtime() - begun_ns) / 1000000;
	run_in(server, timeout_ms);
}

static void run_soon(struct http_server *server)
{
	if (server->running)
		server->run_again = true; /* run() decides when it is done */
	else if (!server->closing)
		run_in(server, 0);
}

static void on_run_timer(uv_timer_t *timer)
{
	run(timer->data, false);
}

static void on_run_now(uv_idle_t *idle)
{
	run(idle->data, false);
}

static void on_ready(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data, true);
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

/* ---- TLS ---- */

/* A connection without our own state (no memory) gets no identity, and ends with its handshake. */
static void prepare_tls(struct MHD_Connection *mhd, struct http_connection *connection)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (!info || !info->tls_session)
		return;
	gnutls_session_set_ptr(info->tls_session, connection);
	if (connection) {
		connection->greeting = true;
		connection->server->greeting++;
	}
}

static void stop_greeting(struct http_connection *connection)
{
	if (!connection->greeting)
		return;
	connection->greeting = false;
	connection->server->greeting--;
}

static int on_identity_wanted(gnutls_session_t session, const gnutls_datum_t *authorities, int authority_count,
			      const gnutls_pk_algorithm_t *algorithms, int algorithm_count, gnutls_pcert_st **chain,
			      unsigned *chain_len, gnutls_privkey_t *key)
{
	(void)authorities;
	(void)authority_count;
	(void)algorithms;
	(void)algorithm_count;
	struct http_connection *connection = gnutls_session_get_ptr(session);
	if (!connection)
		return -1;
	if (!connection->identity)
		connection->identity = tls_identity_use(connection->server->options.identity);
	tls_identity_show(connection->identity, chain, chain_len, key);
	return 0;
}

void http_server_set_identity(struct http_server *server, struct tls_identity *identity)
{
	assert(server->options.identity && identity);
	tls_identity_drop(server->options.identity);
	server->options.identity = identity;
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct http_connection *connection = *socket_context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		connection = info ? calloc(1, sizeof(*connection)) : NULL;
		if (connection) {
			connection->server = context;
			connection->fd = info->connect_fd;
		}
		prepare_tls(mhd, connection);
		if (!connection)
			return; /* its requests are cut in http_exchange_on_access */
		*socket_context = connection;
		start_waiting(connection);
	} else if (connection) {
		assert(!connection->watched);
		stop_waiting(connection);
		stop_greeting(connection);
		run_soon(connection->server); /* at its limit MHD takes the next connection only when it runs again */
		*socket_context = NULL;
		tls_identity_drop(connection->identity);
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
	struct MHD_OptionItem tls[] = {
		{.option = MHD_OPTION_HTTPS_CERT_CALLBACK, .ptr_value = (void *)on_identity_wanted},
		{.option = MHD_OPTION_HTTPS_PRIORITIES, .ptr_value = (void *)(uintptr_t)TLS_PRIORITIES},
		{.option = MHD_OPTION_END},
	};
	bool secure = server->options.identity != NULL;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | (secure ? (unsigned)MHD_USE_TLS : 0), 0, NULL, NULL, http_exchange_on_access, &server->exchanges,
		MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
		server->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S, MHD_OPTION_STRICT_FOR_CLIENT, 1,
		MHD_OPTION_UNESCAPE_CALLBACK, unescape, NULL,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED,
		http_exchange_on_completed, &server->exchanges,
		MHD_OPTION_ARRAY, secure ? tls : tls + 2, MHD_OPTION_END);
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
	(void)uv_idle_init(server->loop, &server->run_now);
	(void)uv_timer_init(server->loop, &server->sweep_timer);
	server->handles = 4;
	server->poll.data = server->run_timer.data = server->run_now.data = server->sweep_timer.data = server;
	(void)uv_poll_start(&server->poll, UV_READABLE, on_ready);
	(void)uv_timer_start(&server->sweep_timer, on_sweep, SWEEP_MS, SWEEP_MS);
	return 0;
}

struct http_server *http_server_new(uv_loop_t *loop, const struct http_server_options *options, struct err *err)
{
	struct http_server *server = calloc(1, sizeof(*server));
	if (!server) {
		tls_identity_drop(options->identity);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	server->loop = loop;
	server->options = *options;
	server->exchanges = (struct http_exchanges){.loop = loop,
						    .options = &server->options,
						    .connection_of = connection_of,
						    .stop_greeting = stop_greeting,
						    .start_waiting = start_waiting,
						    .stop_waiting = stop_waiting,
						    .run_soon = run_soon};
	int rc = http_exchanges_open(&server->exchanges, err);
	if (!rc)
		rc = start_daemon(server, err);
	if (!rc)
		rc = watch_daemon(server, err);
	if (rc) {
		if (server->daemon)
			MHD_stop_daemon(server->daemon);
		http_exchanges_close(&server->exchanges);
		tls_identity_drop(server->options.identity);
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
	http_exchanges_close(&server->exchanges);
	tls_identity_drop(server->options.identity);
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	uv_close((uv_handle_t *)&server->run_timer, on_handle_closed);
	uv_close((uv_handle_t *)&server->run_now, on_handle_closed);
	uv_close((uv_handle_t *)&server->sweep_timer, on_handle_closed);
}
