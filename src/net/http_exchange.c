/* Owns the requests of the server, from headers to answer. Called by libmicrohttpd (MHD) and by the receiver's answers;
 * never opens or closes a connection itself.
 *
 *   BODY --on_headers, body--> whole --on_request, answered--> ANSWERED --queued, sent--> gone
 *    |                           |
 *    +--answered (refused)       +--held--> HELD --answered--> ANSWERED (resumed)
 *    |                                       |
 *    +--> DRAIN --whole--> ANSWERED          +--client gone--> on_gone --> CUT
 *
 *   a body that is taken piece by piece:
 *   STREAM --whole--> on_end, as on_request above
 *    |  ^
 *    |  +--http_pause, http_go_on--> PAUSED (suspended)
 *    +--answered, also while PAUSED--> TOLD --whole--> cut
 *    +--client gone--> on_gone
 *
 * DRAIN: a refusal while the client still sends would be lost in a reset, so a small rest is read and dropped first.
 * HELD: MHD does not watch a suspended connection, so its descriptor is watched here for the client's going, and that
 * watch ends before MHD can close the descriptor. Most are answered within a millisecond, so the watch begins with the
 * server's next sweep only.
 * STREAM: its deadline begins anew with each so many bytes, so a long one is not cut but a creeping one is.
 * PAUSED: not watched for its client's going; the receiver goes on soon, and MHD sees it then.
 * TOLD: MHD cannot answer in the midst of a body, so the answer is written past it, and the connection is good for nothing more
 * than to take what the client was sending: a client that reads while it sends stops, another one gets to read it in the end. */
#include "net/http_exchange.h"

#include "base/cleanup.h"
#include "net/gone_watch.h"

#include <assert.h>
#include <gnutls/gnutls.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <utlist.h>

enum {
	DRAIN_MAX = 16 * 1024 * 1024, /* of a refused body; past it the connection is cut */
	PRODUCE_BLOCK = 32 * 1024,
	STREAM_RATE = 1024, /* bytes a second that a streamed body brings at least, taken over the time of a request's deadline */
	TOLD_HEAD = 512,
	BODIES_MAX = 256 * 1024 * 1024, /* of all requests together: nobody fills our memory by many connections */
	BODY_SMALL = 64 * 1024,         /* a body up to that is always taken: heartbeats, leases, people */
};

enum exchange_state {
	EXCHANGE_BODY,
	EXCHANGE_DRAIN,
	EXCHANGE_HELD,
	EXCHANGE_STREAM,
	EXCHANGE_PAUSED,
	EXCHANGE_TOLD,
	EXCHANGE_ANSWERED,
	EXCHANGE_CUT,
};

struct exchange {
	struct http_request request; /* first: the receiver's view of it */
	struct http_exchanges *exchanges;
	struct http_connection *connection;
	struct MHD_Connection *mhd;
	enum exchange_state state;
	struct buf body;
	size_t drained;
	size_t streamed;            /* bytes since the deadline began anew */
	bool overflow;              /* the body passed its cap, or there was no room for it */
	unsigned status;            /* defined once response is set */
	struct MHD_Response *response;
	struct exchange *prev, *next; /* among the held, or the paused */
};

/* ---- held requests ---- */

static void stop_watch(struct http_exchanges *exchanges, struct http_connection *connection)
{
	if (connection->watched)
		gone_watch_remove(exchanges->gone, connection->fd);
	connection->watched = false;
}

static void unhold(struct exchange *exchange, enum exchange_state next)
{
	struct http_exchanges *exchanges = exchange->exchanges;
	assert(exchange->state == EXCHANGE_HELD);
	exchange->state = next;
	if (exchanges->unwatched == exchange)
		exchanges->unwatched = exchange->next;
	DL_DELETE(exchanges->held, exchange);
	stop_watch(exchanges, exchange->connection);
	MHD_resume_connection(exchange->mhd);
	exchanges->run_soon(exchange->connection->server);
}

static void cut_held(struct exchange *exchange)
{
	exchange->request.on_gone(&exchange->request);
	unhold(exchange, EXCHANGE_CUT);
}

static void on_client_gone(void *held)
{
	cut_held(held);
}

static int watch_for_going(struct exchange *exchange)
{
	struct http_connection *connection = exchange->connection;
	int rc = gone_watch_add(exchange->exchanges->gone, connection->fd, exchange);
	connection->watched = rc == 0;
	return rc;
}

/* ---- streamed bodies ---- */

static void unpause(struct exchange *exchange, enum exchange_state next)
{
	struct http_exchanges *exchanges = exchange->exchanges;
	assert(exchange->state == EXCHANGE_PAUSED);
	exchange->state = next;
	DL_DELETE(exchanges->paused, exchange);
	exchange->streamed = 0;
	exchanges->start_waiting(exchange->connection);
	MHD_resume_connection(exchange->mhd);
	exchanges->run_soon(exchange->connection->server);
}

static void cut_paused(struct exchange *exchange)
{
	exchange->request.on_gone(&exchange->request);
	unpause(exchange, EXCHANGE_CUT);
}

static void mhd_pause(struct http_request *request)
{
	struct exchange *exchange = (struct exchange *)request;
	assert(exchange->state == EXCHANGE_STREAM);
	exchange->state = EXCHANGE_PAUSED;
	DL_APPEND(exchange->exchanges->paused, exchange);
	exchange->exchanges->stop_waiting(exchange->connection);
	MHD_suspend_connection(exchange->mhd);
}

static void mhd_go_on(struct http_request *request)
{
	unpause((struct exchange *)request, EXCHANGE_STREAM);
}

static bool send_all(const struct exchange *exchange, const char *bytes, size_t len)
{
	const union MHD_ConnectionInfo *tls = MHD_get_connection_info(exchange->mhd, MHD_CONNECTION_INFO_GNUTLS_SESSION);
	if (tls && tls->tls_session)
		return gnutls_record_send(tls->tls_session, bytes, len) == (ssize_t)len;
	return send(exchange->connection->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len;
}

/* The answer before the body's end. It is small, and nothing was sent on this connection for a while: it fits the socket, or the
 * client is not worth waiting for. */
static void tell(struct exchange *exchange, const struct http_response *given)
{
	struct buf out;
	buf_init(&out, TOLD_HEAD + given->body_len);
	int rc = buf_printf(&out,
			    "HTTP/1.1 %u %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nCache-Control: no-store\r\n"
			    "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\n",
			    given->status, MHD_get_reason_phrase_for(given->status), given->content_type, given->body_len);
	if (!rc)
		rc = buf_add(&out, given->body, given->body_len);
	bool told = rc == 0 && send_all(exchange, out.data, out.len);
	buf_done(&out);
	free(given->body);
	if (exchange->state == EXCHANGE_PAUSED)
		unpause(exchange, EXCHANGE_TOLD);
	exchange->state = EXCHANGE_TOLD;
	exchange->exchanges->start_waiting(exchange->connection); /* for the rest of the body, this once */
	if (!told)
		(void)shutdown(exchange->connection->fd, SHUT_RDWR);
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

static struct MHD_Response *make_response(const struct http_response *given, bool head)
{
	struct MHD_Response *response = NULL;
	if (given->produce && head) { /* MHD would end a chunked body that HEAD does not have */
		given->produce_done(given->produce_context);
		response = MHD_create_response_from_buffer(0, NULL, MHD_RESPMEM_PERSISTENT);
	} else if (given->produce) {
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
	for (size_t i = 0; i < given->header_count; i++)
		(void)MHD_add_response_header(response, given->headers[i].name, given->headers[i].value);
	(void)MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
	(void)MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
	return response;
}

static void mhd_respond(struct http_request *request, const struct http_response *given)
{
	struct exchange *exchange = (struct exchange *)request;
	assert(!exchange->response);
	if (exchange->state == EXCHANGE_STREAM || exchange->state == EXCHANGE_PAUSED) {
		tell(exchange, given);
		return;
	}
	exchange->status = given->status;
	exchange->response = make_response(given, strcmp(request->method, MHD_HTTP_METHOD_HEAD) == 0);
	enum exchange_state next = exchange->response ? EXCHANGE_ANSWERED : EXCHANGE_CUT;
	if (exchange->state == EXCHANGE_HELD)
		unhold(exchange, next);
	else
		exchange->state = next;
}

static void mhd_hold(struct http_request *request)
{
	struct exchange *exchange = (struct exchange *)request;
	struct http_exchanges *exchanges = exchange->exchanges;
	assert(request->on_gone && exchange->state == EXCHANGE_BODY);
	exchange->state = EXCHANGE_HELD;
	DL_APPEND(exchanges->held, exchange);
	if (!exchanges->unwatched)
		exchanges->unwatched = exchange;
	MHD_suspend_connection(exchange->mhd);
}

static const struct http_transport MHD_TRANSPORT = {
	.query = mhd_query,
	.respond = mhd_respond,
	.hold = mhd_hold,
	.pause = mhd_pause,
	.go_on = mhd_go_on,
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

static enum MHD_Result begin(struct http_exchanges *exchanges, struct MHD_Connection *mhd, const char *path,
			     const char *method, void **exchange_context)
{
	struct http_connection *connection = exchanges->connection_of(mhd);
	struct exchange *exchange = connection ? calloc(1, sizeof(*exchange)) : NULL;
	if (!exchange)
		return MHD_NO;
	exchanges->stop_greeting(connection);
	exchange->request = (struct http_request){
		.transport = &MHD_TRANSPORT, .method = method, .path = path, .bearer = bearer_of(mhd), .body = ""};
	exchange->request.content_type = MHD_lookup_connection_value(mhd, MHD_HEADER_KIND, MHD_HTTP_HEADER_CONTENT_TYPE);
	exchange->exchanges = exchanges;
	exchange->connection = connection;
	exchange->mhd = mhd;
	*exchange_context = exchange;

	exchanges->options->on_headers(exchanges->options->context, &exchange->request);
	if (exchange->state == EXCHANGE_CUT)
		return MHD_NO;
	buf_init(&exchange->body, exchange->request.body_cap);
	if (exchange->state == EXCHANGE_BODY && exchange->request.on_piece)
		exchange->state = EXCHANGE_STREAM;
	if (exchange->state != EXCHANGE_ANSWERED)
		return MHD_YES;
	if (!has_body(mhd) || announced_length(mhd) > DRAIN_MAX)
		return queue(exchange);
	exchange->state = EXCHANGE_DRAIN;
	return MHD_YES;
}

static void take_piece(struct exchange *exchange, const char *bytes, size_t len)
{
	struct http_exchanges *exchanges = exchange->exchanges;
	exchange->streamed += len;
	if ((int64_t)exchange->streamed >= exchanges->options->request_timeout_ms * STREAM_RATE / 1000) {
		exchange->streamed = 0;
		exchanges->start_waiting(exchange->connection);
	}
	exchange->request.on_piece(&exchange->request, bytes, len);
}

static void drop_body(struct exchange *exchange)
{
	exchange->exchanges->body_bytes -= exchange->body.len;
	buf_done(&exchange->body);
}

static bool has_room(const struct exchange *exchange, size_t count)
{
	return exchange->body.len + count <= BODY_SMALL || exchange->exchanges->body_bytes + count <= BODIES_MAX;
}

static enum MHD_Result take_body(struct exchange *exchange, const char *bytes, size_t *len)
{
	size_t count = *len;
	if (exchange->state == EXCHANGE_PAUSED)
		return MHD_YES; /* the next chunk of what MHD had read already: it stays there */
	*len = 0;
	if (exchange->state == EXCHANGE_STREAM)
		take_piece(exchange, bytes, count);
	if (exchange->request.on_piece && exchange->state != EXCHANGE_DRAIN)
		return exchange->state == EXCHANGE_CUT ? MHD_NO : MHD_YES;
	if (exchange->state == EXCHANGE_BODY && !exchange->overflow) {
		exchange->request.busy = !has_room(exchange, count);
		if (!exchange->request.busy && buf_add(&exchange->body, bytes, count) == 0) {
			exchange->exchanges->body_bytes += count;
			return MHD_YES;
		}
		exchange->overflow = true;
		drop_body(exchange);
	}
	exchange->drained += count;
	return exchange->drained <= DRAIN_MAX ? MHD_YES : MHD_NO;
}

static enum MHD_Result finish(struct exchange *exchange)
{
	if (exchange->state == EXCHANGE_DRAIN)
		exchange->state = EXCHANGE_ANSWERED;
	if (exchange->state == EXCHANGE_STREAM) {
		exchange->exchanges->stop_waiting(exchange->connection);
		exchange->state = EXCHANGE_BODY; /* whole: from here on as any other */
		exchange->request.on_end(&exchange->request);
	} else if (exchange->state == EXCHANGE_BODY) {
		const struct http_exchanges *exchanges = exchange->exchanges;
		exchanges->stop_waiting(exchange->connection);
		exchange->request.body = exchange->overflow ? NULL : buf_text(&exchange->body);
		exchange->request.body_len = exchange->body.len;
		exchanges->options->on_request(exchanges->options->context, &exchange->request);
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

enum MHD_Result http_exchange_on_access(void *context, struct MHD_Connection *mhd, const char *path, const char *method,
					const char *version, const char *upload, size_t *upload_len,
					void **exchange_context)
{
	(void)version;
	struct exchange *exchange = *exchange_context;
	if (!exchange)
		return begin(context, mhd, path, method, exchange_context);
	if (*upload_len > 0)
		return take_body(exchange, upload, upload_len);
	return finish(exchange);
}

void http_exchange_on_completed(void *context, struct MHD_Connection *mhd, void **exchange_context,
				enum MHD_RequestTerminationCode code)
{
	(void)context;
	(void)mhd;
	(void)code;
	struct exchange *exchange = *exchange_context;
	if (!exchange)
		return;
	*exchange_context = NULL;
	assert(exchange->state != EXCHANGE_HELD && exchange->state != EXCHANGE_PAUSED);
	if (exchange->state == EXCHANGE_STREAM)
		exchange->request.on_gone(&exchange->request);
	if (exchange->response)
		MHD_destroy_response(exchange->response);
	exchange->exchanges->start_waiting(exchange->connection); /* for the next one */
	drop_body(exchange);
	free(exchange);
}

void http_exchanges_watch_held(struct http_exchanges *exchanges)
{
	while (exchanges->unwatched) {
		struct exchange *exchange = exchanges->unwatched;
		exchanges->unwatched = exchange->next;
		if (watch_for_going(exchange))
			cut_held(exchange);
	}
}

void http_exchanges_cut_held(struct http_exchanges *exchanges)
{
	struct exchange *exchange;
	struct exchange *next;
	DL_FOREACH_SAFE (exchanges->held, exchange, next)
		cut_held(exchange);
	DL_FOREACH_SAFE (exchanges->paused, exchange, next)
		cut_paused(exchange);
}

int http_exchanges_open(struct http_exchanges *exchanges, struct err *err)
{
	exchanges->gone = gone_watch_new(exchanges->loop, on_client_gone, err);
	return exchanges->gone ? 0 : ERR_IO;
}

void http_exchanges_close(struct http_exchanges *exchanges)
{
	assert(!exchanges->held && !exchanges->paused);
	gone_watch_close(steal(exchanges->gone));
}
