/* Owns the listening socket, its connections and their deadlines: libmicrohttpd (MHD) on a libuv loop. Called by the
 * hub; never blocks, never knows what a request means.
 *
 * MHD runs in external epoll mode: its epoll descriptor is watched by libuv, MHD_run does what is ready, and
 * MHD_get_timeout64 says when to run again without anything ready.
 *
 * A request:
 *
 *   HEADERS --on_headers--> BODY --whole--> on_request --answered--> QUEUED --sent--> gone
 *      |                                        |
 *      +--answered (refused)--> DRAIN --whole---+--held--> HELD --answered--> resumed --> QUEUED
 *                                                            |
 *                                                            +--client gone--> on_gone --> cut
 *
 * DRAIN: a refusal while the client still sends would be lost in a reset, so a small rest is read and dropped first.
 * HELD: MHD does not watch a suspended connection, so its descriptor is watched here for the client's going, and that
 * watch ends before MHD can close the descriptor.
 *
 * Deadlines: MHD's own timeout counts from the last byte and never cuts a byte-a-second sender. So every connection
 * that owes a whole request stands in a list ordered by since when; the head is shut down when it is overdue. */
#include "net/http_server.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <utlist.h>

enum {
	CONNECTION_MEMORY = 8 * 1024,   /* 4 KB refuses 6 KB of headers; the default costs 33 KB each */
	LISTEN_BACKLOG = 4096,
	SWEEP_MS = 1000,
	DRAIN_MAX = 16 * 1024 * 1024,   /* of a refused body; past it the connection is cut */
	IDLE_TIMEOUT_S = 120,           /* MHD's own: a reader of an answer who stopped reading */
};

struct connection {
	struct http_server *server;
	int fd;
	bool waiting;          /* in the list: owes us a whole request */
	int64_t since_ms;      /* defined while waiting */
	uv_poll_t *gone_watch; /* while a request of it is held */
	struct connection *prev, *next;
};

enum exchange_state { EXCHANGE_BODY, EXCHANGE_DRAIN, EXCHANGE_HELD, EXCHANGE_ANSWERED, EXCHANGE_CUT };

/* A request of MHD's. */
struct exchange {
	struct http_request request; /* first: the receiver's view of it */
	struct connection *connection;
	struct MHD_Connection *mhd;
	enum exchange_state state;
	struct buf body;
	size_t drained;
	bool overflow;              /* the body passed its cap */
	unsigned status;            /* defined once response is set */
	struct MHD_Response *response;
	struct exchange *prev, *next; /* among the held */
};

struct http_server {
	uv_loop_t *loop;
	struct MHD_Daemon *daemon;
	struct http_server_options options;
	uv_poll_t poll;
	uv_timer_t run_timer;
	uv_timer_t sweep_timer;
	struct connection *waiting; /* longest first */
	struct exchange *held;
	bool running;               /* MHD_run is on the stack */
	bool closing;
	unsigned handles;
};

/* ---- MHD on the loop ---- */

static void on_run_timer(uv_timer_t *timer);

static void run(struct http_server *server)
{
	if (server->closing)
		return;
	server->running = true;
	(void)MHD_run(server->daemon);
	server->running = false;

	MHD_UNSIGNED_LONG_LONG timeout_ms;
	if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES)
		(void)uv_timer_start(&server->run_timer, on_run_timer, timeout_ms, 0);
	else
		(void)uv_timer_stop(&server->run_timer);
}

/* A resumed connection has work for MHD that no descriptor announces. */
static void run_soon(struct http_server *server)
{
	if (!server->closing)
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

static void start_waiting(struct connection *connection)
{
	struct http_server *server = connection->server;
	if (connection->waiting)
		DL_DELETE(server->waiting, connection);
	connection->waiting = true;
	connection->since_ms = clock_monotonic_ms();
	DL_APPEND(server->waiting, connection);
}

static void stop_waiting(struct connection *connection)
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
		struct connection *overdue = server->waiting;
		stop_waiting(overdue);
		(void)shutdown(overdue->fd, SHUT_RDWR); /* MHD reads the end, and closes it */
	}
}

/* ---- connections ---- */

static void on_connection(void *context, struct MHD_Connection *mhd, void **socket_context,
			  enum MHD_ConnectionNotificationCode code)
{
	struct connection *connection = *socket_context;
	if (code == MHD_CONNECTION_NOTIFY_STARTED) {
		const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_CONNECTION_FD);
		connection = calloc(1, sizeof(*connection));
		if (!connection || !info) {
			free(connection);
			return; /* its requests are cut in on_access */
		}
		connection->server = context;
		connection->fd = info->connect_fd;
		*socket_context = connection;
		start_waiting(connection);
	} else if (connection) {
		assert(!connection->gone_watch);
		stop_waiting(connection);
		*socket_context = NULL;
		free(connection);
	}
}

static struct connection *connection_of(struct MHD_Connection *mhd)
{
	const union MHD_ConnectionInfo *info = MHD_get_connection_info(mhd, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
	return info ? info->socket_context : NULL;
}

/* ---- held requests ---- */

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle);
}

static void stop_watch(struct connection *connection)
{
	uv_poll_t *watch = connection->gone_watch;
	if (!watch)
		return;
	connection->gone_watch = NULL;
	(void)uv_poll_stop(watch);
	uv_close((uv_handle_t *)watch, on_watch_closed);
}

static void unhold(struct exchange *exchange, enum exchange_state next)
{
	struct http_server *server = exchange->connection->server;
	assert(exchange->state == EXCHANGE_HELD);
	exchange->state = next;
	DL_DELETE(server->held, exchange);
	stop_watch(exchange->connection);
	MHD_resume_connection(exchange->mhd);
	run_soon(server);
}

static void cut_held(struct exchange *exchange)
{
	exchange->request.on_gone(&exchange->request);
	unhold(exchange, EXCHANGE_CUT);
}

static void on_client_gone(uv_poll_t *watch, int status, int events)
{
	(void)status;
	(void)events;
	cut_held(watch->data);
}

static int watch_for_going(struct exchange *exchange)
{
	struct connection *connection = exchange->connection;
	uv_poll_t *watch = calloc(1, sizeof(*watch));
	if (!watch)
		return ERR_NOMEM;
	if (uv_poll_init(connection->server->loop, watch, connection->fd)) {
		free(watch);
		return ERR_IO;
	}
	watch->data = exchange;
	connection->gone_watch = watch;
	return uv_poll_start(watch, UV_DISCONNECT, on_client_gone) ? ERR_IO : 0;
}

/* ---- what the receiver calls ---- */

static const char *mhd_query(const struct http_request *request, const char *name)
{
	const struct exchange *exchange = (const struct exchange *)request;
	return MHD_lookup_connection_value(exchange->mhd, MHD_GET_ARGUMENT_KIND, name);
}

static void mhd_peer(const struct http_request *request, char *into, size_t size)
{
	const struct exchange *exchange = (const struct exchange *)request;
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
	const struct sockaddr *address = info ? info->client_addr : NULL;
	socklen_t len = address && address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								  : sizeof(struct sockaddr_in);
	if (!address || getnameinfo(address, len, into, (socklen_t)size, NULL, 0, NI_NUMERICHOST))
		(void)snprintf(into, size, "?");
}

static ssize_t on_produce(void *context, uint64_t position, char *into, size_t max)
{
	(void)position;
	const struct http_response *response = context;
	ssize_t len = response->produce(response->produce_context, into, max);
	return len > 0 ? len : MHD_CONTENT_READER_END_OF_STREAM;
}

static void on_produce_done(void *context)
{
	struct http_response *response = context;
	response->produce_done(response->produce_context);
	free(response);
}

enum { PRODUCE_BLOCK = 32 * 1024 };

static struct MHD_Response *make_produced(const struct http_response *given)
{
	struct http_response *copy = malloc(sizeof(*copy));
	struct MHD_Response *response = NULL;
	if (copy) {
		*copy = *given;
		response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, PRODUCE_BLOCK, on_produce, copy,
							     on_produce_done);
	}
	if (!response) {
		free(copy);
		given->produce_done(given->produce_context);
	}
	return response;
}

static struct MHD_Response *make_response(const struct http_response *given)
{
	struct MHD_Response *response = NULL;
	if (given->produce) {
		response = make_produced(given);
	} else if (given->body) {
		response = MHD_create_response_from_buffer(given->body_len, given->body, MHD_RESPMEM_MUST_FREE);
		if (!response)
			free(given->body);
	} else {
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	}
	if (!response)
		return NULL;
	if (given->content_type)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, given->content_type);
	if (given->allow)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, given->allow);
	if (given->authenticate)
		(void)MHD_add_response_header(response, MHD_HTTP_HEADER_WWW_AUTHENTICATE, "Bearer");
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

static void mhd_respond(struct http_request *request, const struct http_response *given)
{
	struct exchange *exchange = (struct exchange *)request;
	assert(!exchange->response);
	exchange->status = given->status;
	exchange->response = make_response(given);
	enum exchange_state next = exchange->response ? EXCHANGE_ANSWERED : EXCHANGE_CUT;
	if (exchange->state == EXCHANGE_HELD)
		unhold(exchange, next);
	else
		exchange->state = next;
}

static void mhd_hold(struct http_request *request)
{
	struct exchange *exchange = (struct exchange *)request;
	struct http_server *server = exchange->connection->server;
	assert(request->on_gone && exchange->state == EXCHANGE_BODY);
	exchange->state = EXCHANGE_HELD;
	DL_APPEND(server->held, exchange);
	MHD_suspend_connection(exchange->mhd);
	if (watch_for_going(exchange))
		cut_held(exchange);
}

static const struct http_transport MHD_TRANSPORT = {
	.query = mhd_query,
	.respond = mhd_respond,
	.hold = mhd_hold,
	.peer = mhd_peer,
};

/* ---- what MHD calls ---- */

static const char *bearer_of(struct MHD_Connection *mhd)
{
	static const char SCHEME[] = "Bearer ";
	const char *value = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	if (!value || strncasecmp(value, SCHEME, sizeof(SCHEME) - 1) != 0)
		return NULL;
	value += sizeof(SCHEME) - 1;
	return value + strspn(value, " ");
}

static enum MHD_Result queue(struct exchange *exchange)
{
	struct MHD_Response *response = steal(exchange->response);
	enum MHD_Result result = MHD_queue_response(exchange->mhd, exchange->status, response);
	MHD_destroy_response(response);
	return result;
}

static size_t announced_length(struct MHD_Connection *mhd)
{
	const char *text = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_LENGTH);
	return text ? strtoull(text, NULL, 10) : 0;
}

static bool has_body(struct MHD_Connection *mhd)
{
	return announced_length(mhd) > 0 ||
	       MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_TRANSFER_ENCODING) != NULL;
}

static enum MHD_Result begin(struct http_server *server, struct MHD_Connection *mhd, const char *path,
			     const char *method, void **exchange_context)
{
	struct connection *connection = connection_of(mhd);
	struct exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;
	if (!exchange)
		return MHD_NO;
	exchange->request = (struct http_request){
		.transport = &MHD_TRANSPORT, .method = method, .path = path, .bearer = bearer_of(mhd), .body = ""};
	exchange->connection = connection;
	exchange->mhd = mhd;
	*exchange_context = exchange;

	server->options.on_headers(server->options.context, &exchange->request);
	if (exchange->state == EXCHANGE_CUT)
		return MHD_NO;
	buf_init(&exchange->body, exchange->request.body_cap);
	if (exchange->state != EXCHANGE_ANSWERED)
		return MHD_YES;
	if (!has_body(mhd) || announced_length(mhd) > DRAIN_MAX)
		return queue(exchange);
	exchange->state = EXCHANGE_DRAIN;
	return MHD_YES;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *len)
{
	size_t count = *len;
	*len = 0;
	if (exchange->state == EXCHANGE_BODY && !exchange->overflow) {
		if (buf_add(&exchange->body, bytes, count) == 0)
			return MHD_YES;
		exchange->overflow = true;
		buf_done(&exchange->body);
	}
	exchange->drained += count;
	return exchange->drained <= DRAIN_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result finish(struct http_server *server, struct exchange *exchange)
{
	if (exchange->state == EXCHANGE_DRAIN)
		exchange->state = EXCHANGE_ANSWERED;
	if (exchange->state == EXCHANGE_BODY) {
		stop_waiting(exchange->connection);
		exchange->request.body = exchange->overflow ? NULL : buf_text(&exchange->body);
		exchange->request.body_len = exchange->body.len;
		server->options.on_request(server->options.context, &exchange->request);
	}
	switch (exchange->state) {
	case EXCHANGE_ANSWERED:
		return queue(exchange);
	case EXCHANGE_HELD:
		return MHD_YES;
	default:
		return MHD_NO;
	}
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *mhd, const char *path, const char *method,
				 const char *version, const char *upload, size_t *upload_len, void **exchange_context)
{
	(void)version;
	struct exchange *exchange = *exchange_context;
	if (!exchange)
		return begin(context, mhd, path, method, exchange_context);
	if (*upload_len > 0)
		return take_body(exchange, upload, upload_len);
	return finish(context, exchange);
}

static void on_completed(void *context, struct MHD_Connection *mhd, void **exchange_context,
			 enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)mhd;
	(void)code;
	struct exchange *exchange = *exchange_context;
	if (!exchange)
		return;
	*exchange_context = NULL;
	if (exchange->response)
		MHD_destroy_response(exchange->response);
	start_waiting(exchange->connection); /* for the next one */
	buf_done(&exchange->body);
	free(exchange);
}

/* ---- construction ---- */

static int resolve(const char *bind, struct addrinfo **addresses, struct err *err)
{
	const char *colon = strrchr(bind, ':');
	char host[256];
	size_t host_len = colon ? (size_t)(colon - bind) : 0;
	if (!colon || host_len >= sizeof(host))
		return err_set(err, ERR_INVALID, "must be address:port, as in 0.0.0.0:8080");

	bool bracketed = host_len >= 2 && bind[0] == '[' && bind[host_len - 1] == ']';
	(void)snprintf(host, sizeof(host), "%.*s", (int)(bracketed ? host_len - 2 : host_len),
		       bracketed ? bind + 1 : bind);
	if (!bracketed && strchr(host, ':'))
		return err_set(err, ERR_INVALID, "an IPv6 address stands in brackets, as in [::]:8080");

	const char *port = colon + 1;
	size_t digits = strspn(port, "0123456789");
	if (digits == 0 || digits > 5 || port[digits] || strtol(port, NULL, 10) > 65535)
		return err_set(err, ERR_INVALID, "the port must be 0 to 65535");

	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
	if (getaddrinfo(*host ? host : NULL, port, &hints, addresses))
		return err_set(err, ERR_INVALID, "the address must be numeric, as in 0.0.0.0:8080 or [::]:8080");
	return 0;
}

int http_server_check_bind(const char *bind, struct err *err)
{
	struct addrinfo *addresses = NULL;
	int rc = resolve(bind, &addresses, err);
	if (!rc)
		freeaddrinfo(addresses);
	return rc;
}

static int listen_on(const char *bind_text, struct err *err)
{
	struct addrinfo *addresses = NULL;
	int rc = resolve(bind_text, &addresses, err);
	if (rc) {
		(void)err_wrap(err, "bind");
		return -1;
	}
	int fd = socket(addresses->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int on = 1;
	bool ok = fd >= 0 && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) == 0 &&
		  bind(fd, addresses->ai_addr, addresses->ai_addrlen) == 0 && listen(fd, LISTEN_BACKLOG) == 0;
	int error = errno;
	freeaddrinfo(addresses);
	if (ok)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	(void)err_from_errno(err, error, "cannot listen on %s", bind_text);
	return -1;
}

static int start_daemon(struct http_server *server, struct err *err)
{
	int fd = listen_on(server->options.bind, err);
	if (fd < 0)
		return err ? (int)err->code : ERR_IO;
	server->daemon = MHD_start_daemon(
		MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, server, MHD_OPTION_LISTEN_SOCKET, fd,
		MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY, MHD_OPTION_CONNECTION_LIMIT,
		server->options.max_connections, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)IDLE_TIMEOUT_S,
		MHD_OPTION_NOTIFY_CONNECTION, on_connection, server, MHD_OPTION_NOTIFY_COMPLETED, on_completed, server,
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
	struct sockaddr_storage address;
	socklen_t len = sizeof(address);
	if (!info || getsockname(info->listen_fd, (struct sockaddr *)&address, &len))
		return 0;
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
						   : ((struct sockaddr_in *)&address)->sin_port);
}

void http_server_close(struct http_server *server)
{
	if (!server)
		return;
	assert(!server->running);
	struct exchange *exchange;
	struct exchange *next;
	DL_FOREACH_SAFE (server->held, exchange, next)
		cut_held(exchange);
	(void)uv_poll_stop(&server->poll); /* before MHD closes its descriptor */
	server->closing = true;
	MHD_stop_daemon(server->daemon);
	uv_close((uv_handle_t *)&server->poll, on_handle_closed);
	uv_close((uv_handle_t *)&server->run_timer, on_handle_closed);
	uv_close((uv_handle_t *)&server->sweep_timer, on_handle_closed);
}
