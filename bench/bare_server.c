/* The least server that can answer a heartbeat: libmicrohttpd, the check of the bearer, jansson, and an answer of the
 * hub's size; no node, no route, no deadline, no loop but its own. What the hub's rate is measured against. bench/run
 * starts it; it prints its port, and ends at SIGTERM.
 *
 * libmicrohttpd runs as in the hub: external epoll, suspension allowed, pools of 8 KB. */
#include "base/buf.h"
#include "base/cleanup.h"
#include "base/err.h"
#include "base/random.h"
#include "net/listen.h"

#include <jansson.h>
#include <microhttpd.h>
#include <signal.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>

enum { CONNECTION_MEMORY = 8 * 1024, CONNECTIONS_MAX = 20000, BODY_MAX = 16 * 1024, IDLE_TIMEOUT_S = 120, TURN_MS = 1000 };

static const char *token;
static volatile sig_atomic_t ending;

static void on_signal(int number)
{
	(void)number;
	ending = 1;
}

static bool is_allowed(struct MHD_Connection *connection)
{
	static const char SCHEME[] = "Bearer ";
	const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_AUTHORIZATION);
	if (!value || strncasecmp(value, SCHEME, sizeof(SCHEME) - 1) != 0)
		return false;
	value += sizeof(SCHEME) - 1;
	return secret_equal(token, value, strlen(value));
}

/* Reads what the hub reads of a heartbeat. */
static bool is_heartbeat(const struct buf *body)
{
	AUTO_JSON json_t *message = json_loadb(buf_text(body), body->len, JSON_REJECT_DUPLICATES, NULL);
	return json_string_value(json_object_get(message, "node_id")) &&
	       json_string_value(json_object_get(message, "status")) &&
	       json_is_integer(json_object_get(message, "active_containers"));
}

static enum MHD_Result answer(struct MHD_Connection *connection, unsigned status)
{
	static const char BODY[] = "{\"stop_requested\":false}\n";
	struct MHD_Response *response =
		MHD_create_response_from_buffer(sizeof(BODY) - 1, (void *)(uintptr_t)BODY, MHD_RESPMEM_PERSISTENT);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "application/json");
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	enum MHD_Result result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *path, const char *method,
				 const char *version, const char *upload, size_t *upload_len, void **request)
{
	(void)context;
	(void)path;
	(void)method;
	(void)version;
	struct buf *body = *request;
	if (!body) {
		body = calloc(1, sizeof(*body));
		if (!body)
			return MHD_NO;
		buf_init(body, BODY_MAX);
		*request = body;
		return is_allowed(connection) ? MHD_YES : MHD_NO;
	}
	if (*upload_len > 0) {
		int rc = buf_add(body, upload, *upload_len);
		*upload_len = 0;
		return rc ? MHD_NO : MHD_YES;
	}
	return answer(connection, is_heartbeat(body) ? MHD_HTTP_OK : MHD_HTTP_BAD_REQUEST);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request,
			 enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)connection;
	(void)code;
	struct buf *body = *request;
	if (!body)
		return;
	buf_done(body);
	free(body);
}

static struct MHD_Daemon *start(int fd)
{
	return MHD_start_daemon(MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL, on_access, NULL,
				MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)CONNECTION_MEMORY,
				MHD_OPTION_CONNECTION_LIMIT, (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
				(unsigned)IDLE_TIMEOUT_S, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
}

static void serve(struct MHD_Daemon *daemon)
{
	const union MHD_DaemonInfo *info = MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_EPOLL_FD);
	int inner = info->epoll_fd;
	AUTO_CLOSE int outer = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN};
	(void)epoll_ctl(outer, EPOLL_CTL_ADD, inner, &event);
	while (!ending) {
		MHD_UNSIGNED_LONG_LONG timeout_ms = TURN_MS;
		if (MHD_get_timeout(daemon, &timeout_ms) != MHD_YES || timeout_ms > TURN_MS)
			timeout_ms = TURN_MS;
		(void)epoll_wait(outer, &event, 1, (int)timeout_ms);
		(void)MHD_run(daemon);
	}
}

int main(void)
{
	struct err err = {0};
	token = getenv("IDM_GRIDCORE_TOKEN");
	int fd = token ? listen_open("127.0.0.1:0", &err) : -1;
	struct MHD_Daemon *daemon = fd >= 0 ? start(fd) : NULL;
	if (!daemon) {
		(void)fprintf(stderr, "bare_server: %s\n", err.code ? err.text : "wants $IDM_GRIDCORE_TOKEN");
		return 1;
	}
	(void)signal(SIGTERM, on_signal);
	(void)signal(SIGINT, on_signal);
	(void)printf("%u\n", listen_port(fd));
	(void)fflush(stdout);
	serve(daemon);
	MHD_stop_daemon(daemon);
	return 0;
}
