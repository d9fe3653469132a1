/* Owns the bytes that a stream has yet to send. Called by stream.c once a turn, so that one system call carries what was
 * written in that turn; never decides when a queue is too long. */
#include "net/sender.h"

#include <limits.h>

enum { KEPT_BYTES = 256 * 1024 }; /* memory that an empty queue keeps */

void sender_init(struct sender *sender, void *context, void (*on_sent)(void *context, int status))
{
	*sender = (struct sender){.context = context, .on_sent = on_sent};
	buf_init(&sender->waiting, UINT_MAX); /* as much as one write can carry; the stream's own cap is far below */
	buf_init(&sender->sending, UINT_MAX);
	sender->request.data = sender;
}

void sender_done(struct sender *sender)
{
	buf_done(&sender->waiting);
	buf_done(&sender->sending);
}

size_t sender_len(const struct sender *sender)
{
	return sender->waiting.len + sender->sending.len - sender->sent;
}

void sender_empty(struct buf *buf)
{
	size_t cap = buf->cap;
	if (buf->capacity > KEPT_BYTES)
		buf_done(buf);
	else
		buf_clear(buf);
	buf->cap = cap;
}

static void clear_sending(struct sender *sender)
{
	sender_empty(&sender->sending);
	sender->sent = 0;
}

static void on_written(uv_write_t *request, int status)
{
	struct sender *sender = request->data;
	clear_sending(sender);
	sender->on_sent(sender->context, status);
}

int sender_flush(struct sender *sender, uv_stream_t *socket)
{
	if (sender->sending.len > 0 || sender->waiting.len == 0)
		return 0;
	struct buf empty = sender->sending;
	sender->sending = sender->waiting;
	sender->waiting = empty;

	uv_buf_t bytes = uv_buf_init(sender->sending.data, (unsigned)sender->sending.len);
	int sent = uv_try_write(socket, &bytes, 1);
	if (sent < 0 && sent != UV_EAGAIN)
		return sent;
	sender->sent = sent < 0 ? 0 : (size_t)sent;
	if (sender->sent == sender->sending.len) {
		clear_sending(sender);
		return 0;
	}
	bytes = uv_buf_init(sender->sending.data + sender->sent, (unsigned)(sender->sending.len - sender->sent));
	return uv_write(&sender->request, socket, &bytes, 1, on_written);
}
