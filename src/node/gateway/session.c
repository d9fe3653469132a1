/* Owns one connection: its descriptor, what it sent and has not been carried out, and the replies that it has not read.
 * Called by the loop and by its slot; never decides what a command means.
 *
 *   STRANGER (no slot) --AUTH--> IN ITS SLOT --closed by either side, or broken--> closed; freed at the end of the turn
 *
 * Commands are carried out strictly in order, but for one thing: behind a pop that waits, all but further pops are carried
 * out ahead, and only their replies wait (`behind`), since a write belongs to what was open when it came. The next pop is
 * `held` until the first is answered, and with it all that follows.
 *
 * Failure modes: a peer that does not read: from REPLY_HIGH on nothing more of it is read; one that breaks the protocol is
 * told so, and closed; one that is gone: what it sent whole is carried out, then it is closed. */
#include "node/gateway/parts.h"

#include "base/cleanup.h"
#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	CHUNK = 64 * 1024,
	CHUNKS_PER_TURN = 64, /* then others have their turn */
	KEPT_BYTES = 64 * 1024, /* memory that an idle buffer keeps */
	PROTOCOL_OVERHEAD = 64 * 1024,
};

static const struct resp_limits LIMITS = {
	.requests_only = true,
	.max_depth = 1,
	.max_elements = 1024 * 1024,
	.max_values = 1024 * 1024 + 1,
	.max_bulk = LIMIT_RESULT,
	.max_line = 64 * 1024,
	.max_message = LIMIT_RESULT + PROTOCOL_OVERHEAD,
	.max_pipelined = PIPELINE_MAX + CHUNK,
};

static void on_poll(uv_poll_t *poll, int status, int events);

/* ---- lists ---- */

void session_link(struct gateway_session **list, struct gateway_session *session)
{
	session->prev = NULL;
	session->next = *list;
	if (*list)
		(*list)->prev = session;
	*list = session;
}

void session_unlink(struct gateway_session **list, struct gateway_session *session)
{
	if (session->prev)
		session->prev->next = session->next;
	else
		*list = session->next;
	if (session->next)
		session->next->prev = session->prev;
	session->next = session->prev = NULL;
}

/* ---- beginning and end ---- */

static void free_session(struct gateway_session *session)
{
	resp_reader_free(session->reader);
	resp_message_free(session->held);
	buf_done(&session->out);
	buf_done(&session->behind);
	free(session->queued);
	free(session);
}

static size_t unsent(const struct gateway_session *session)
{
	return session->out.len - session->sent;
}

static bool may_read(const struct gateway_session *session)
{
	if (session->ended || unsent(session) >= REPLY_HIGH || session->behind.len >= BEHIND_MAX)
		return false;
	return !session->held || resp_reader_buffered(session->reader) < PIPELINE_MAX;
}

static void watch(struct gateway_session *session)
{
	int events = may_read(session) ? UV_READABLE | UV_DISCONNECT : 0;
	if (unsent(session) > 0)
		events |= UV_WRITABLE;
	if (events == session->events || session->closed)
		return;
	session->events = events;
	if (events)
		(void)uv_poll_start(&session->poll, events, on_poll);
	else
		(void)uv_poll_stop(&session->poll);
}

struct gateway_session *session_new(struct gateway *gateway, int fd)
{
	struct gateway_session *session = calloc(1, sizeof(*session));
	if (!session)
		return NULL;
	session->reader = resp_reader_new(&LIMITS);
	if (!session->reader || uv_poll_init(gateway->loop, &session->poll, fd)) {
		free_session(session);
		return NULL;
	}
	int on = 1;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)); /* refused by a Unix socket */
	(void)uv_timer_init(gateway->loop, &session->timer);
	session->poll.data = session->timer.data = session;
	session->handles = 2;
	session->gateway = gateway;
	session->fd = fd;
	session->came_ms = clock_monotonic_ms();
	buf_init(&session->out, REPLY_MAX);
	buf_init(&session->behind, REPLY_MAX);
	watch(session);
	return session;
}

static void on_closed(uv_handle_t *handle)
{
	struct gateway_session *session = handle->data;
	if (--session->handles == 0)
		free_session(session);
}

void session_clear_pop(struct gateway_session *session)
{
	struct pop *pop = &session->pop;
	for (size_t i = 0; i < pop->request_count; i++)
		pop_request_done(&pop->requests[i]);
	if (pop->requests != &pop->single)
		free(pop->requests);
	buf_done(&pop->around);
	pop->requests = NULL;
	pop->request_count = 0;
	pop->state = POP_NONE;
	pop->in_transaction = false;
	(void)uv_timer_stop(&session->timer);
}

void session_close(struct gateway_session *session)
{
	if (session->closed)
		return;
	session->closed = true;
	if (session->slot) {
		session_unlink(&session->slot->sessions, session);
		session->slot->session_count--;
		slot_session_gone(session->slot, session);
	} else {
		session_unlink(&session->gateway->strangers, session);
		session->gateway->stranger_count--;
	}
	transaction_discard(session);
	session_clear_pop(session);
	if (session->listener)
		listener_released(session->listener);
	uv_close((uv_handle_t *)&session->poll, on_closed);
	uv_close((uv_handle_t *)&session->timer, on_closed);
	(void)close(session->fd);
}

/* ---- out ---- */

struct buf *session_reply(struct gateway_session *session)
{
	if (session->in_exec)
		return &session->pop.around;
	return session->pop.state == POP_NONE ? &session->out : &session->behind;
}

static void forget_sent(struct gateway_session *session)
{
	session->sent = 0;
	if (session->out.capacity > KEPT_BYTES) {
		buf_done(&session->out);
		buf_init(&session->out, REPLY_MAX);
	} else {
		buf_clear(&session->out);
	}
}

void session_flush(struct gateway_session *session)
{
	if (session->closed)
		return;
	while (unsent(session) > 0) {
		ssize_t sent = send(session->fd, session->out.data + session->sent, unsent(session), MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (sent < 0) {
			session->undelivered = session->sent == 0;
			session_close(session);
			return;
		}
		session->sent += (size_t)sent;
	}
	if (unsent(session) == 0 && session->sent > 0)
		forget_sent(session);
	if (session->quitting && session->pop.state == POP_NONE && unsent(session) == 0)
		session_close(session);
	else
		watch(session);
}

/* ---- in ---- */

static void on_broken(struct gateway_session *session, const struct err *err)
{
	/* A result that is announced larger than any may be: its item fails, whatever the worker does now. */
	if (session->slot && err->code == ERR_TOO_BIG && session->slot->open.count > 0)
		session->slot->too_large = true;
	if (session->pop.state != POP_NONE) {
		session_close(session); /* no reply may overtake the pop's */
		return;
	}
	answer_error(session, &session->out, "ERR Protocol error: %s", err->text);
	session->quitting = true;
}

static void run_held(struct gateway_session *session)
{
	struct resp_message *held = steal(session->held);
	command_run(session, held->value);
	resp_message_free(held);
}

void session_run(struct gateway_session *session)
{
	struct err err = {0};
	while (!session->closed && !session->quitting && unsent(session) < REPLY_HIGH && session->behind.len < BEHIND_MAX) {
		const struct resp_value *message = session->held ? session->held->value : NULL;
		if (!message && resp_reader_next(session->reader, &message, &err)) {
			on_broken(session, &err);
			return;
		}
		if (!message)
			return;
		if (message->count == 0)
			continue;
		bool waits = command_waits(session, message);
		if (session->held && waits)
			return;
		if (session->held) {
			run_held(session);
			continue;
		}
		if (waits) {
			session->held = resp_reader_take(session->reader);
			return;
		}
		command_run(session, message);
	}
}

bool session_is_half(const struct gateway_session *session)
{
	if (session->held || session->quitting || session->given_up)
		return false;
	if (unsent(session) >= REPLY_HIGH || session->behind.len >= BEHIND_MAX)
		return false;
	return resp_reader_buffered(session->reader) > 0;
}

static size_t memory_of(const struct gateway_session *session)
{
	return resp_reader_buffered(session->reader) + session->queued_bytes + session->out.len + session->behind.len;
}

/* Whether what this connection makes us keep is too much; looked at only where it is much by itself. */
static bool is_greedy(const struct gateway_session *session)
{
	size_t own = memory_of(session);
	if (!session->slot)
		return own > STRANGER_BYTES;
	if (own <= PIPELINE_MAX)
		return false;
	size_t all = 0;
	for (const struct gateway_session *other = session->slot->sessions; other; other = other->next)
		all += memory_of(other);
	return all > SLOT_BYTES;
}

/* One read; false when there is nothing more just now. */
static bool read_chunk(struct gateway_session *session)
{
	static char bytes[CHUNK]; /* for the length of this call alone */
	ssize_t len = recv(session->fd, bytes, sizeof(bytes), MSG_DONTWAIT);
	if (len < 0 && errno == EINTR)
		return true;
	if (len < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		session->dry = true;
		return false;
	}
	if (len <= 0) {
		session->ended = true;
		return false;
	}
	struct err err = {0};
	session->given_up = false;
	if (session->quitting)
		; /* nothing it says counts any more; that it goes away does */
	else if (resp_reader_feed(session->reader, bytes, (size_t)len, &err))
		on_broken(session, &err);
	else
		session_run(session);
	if (!session->closed && is_greedy(session))
		session_close(session);
	/* Less than was asked for: there is nothing more, unless it is the end itself that is still to be read. */
	session->dry = (size_t)len < sizeof(bytes) && !session->hung_up;
	return !session->dry;
}

void session_read(struct gateway_session *session)
{
	session->dry = false;
	for (unsigned i = 0; i < CHUNKS_PER_TURN && !session->closed && may_read(session); i++) {
		if (!read_chunk(session))
			break;
	}
	if (session->closed || !session->ended)
		return;
	session_run(session);
	session_close(session);
}

void session_turn(struct gateway_session *session)
{
	if (session->slot)
		slot_step(session->slot, session->closed ? NULL : session);
	session_flush(session);
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct gateway_session *session = poll->data;
	awake_note_work(&session->gateway->awake);
	if (events & UV_WRITABLE) {
		session_flush(session);
		session_run(session);
	}
	session->hung_up |= status < 0 || (events & UV_DISCONNECT);
	if (!session->closed && (status < 0 || (events & (UV_READABLE | UV_DISCONNECT))))
		session_read(session);
	session_turn(session);
}
