/* Owns what waits for the reader of standard output. Called by the commands that print results; knows nothing of what they mean. */
#include "ctl/output.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PENDING_MAX = 256 * 1024 * 1024,
	FILE_CHUNK = 1024 * 1024, /* a file takes what it is given */
	WRITES_PER_TURN = 64,
};

/* The descriptor may be shared (with the shell, with our own standard error), so it is never made non-blocking: into a pipe
 * that poll() calls writable go PIPE_BUF bytes without waiting. */
struct output {
	int fd;
	bool is_file;
	struct output_events events;
	struct buf queue;
	size_t start;      /* of what waits, in queue */
	uv_poll_t poll;    /* where it is no file */
	uv_check_t later;  /* where it is one: at the end of the turn … */
	uv_idle_t awake;   /* … which then does not wait */
	int open_handles;
	bool failed, closed;
	bool mid_line;     /* the last byte that left was no newline */
};

static void on_closed(uv_handle_t *handle)
{
	struct output *output = handle->data;
	if (--output->open_handles > 0)
		return;
	buf_done(&output->queue);
	free(output);
}

static void rest(struct output *output)
{
	if (output->is_file) {
		(void)uv_check_stop(&output->later);
		(void)uv_idle_stop(&output->awake);
	} else {
		(void)uv_poll_stop(&output->poll);
	}
}

static void fail(struct output *output, int error_number)
{
	struct err err = {0};
	rest(output);
	output->failed = true;
	if (error_number == EPIPE)
		(void)err_set(&err, ERR_CANCELLED, "nobody reads standard output any more");
	else
		(void)err_from_errno(&err, error_number, "standard output");
	output->events.on_failed(output->events.context, &err);
}

static void send_some(struct output *output)
{
	size_t most = output->is_file ? FILE_CHUNK : PIPE_BUF;
	if (output->events.before_write)
		output->events.before_write(output->events.context);
	for (int i = 0; i < (output->is_file ? WRITES_PER_TURN : 1); i++) {
		size_t left = output_pending(output);
		if (left == 0)
			break;
		ssize_t len = write(output->fd, output->queue.data + output->start, left < most ? left : most);
		if (len < 0 && (errno == EINTR || errno == EAGAIN))
			return;
		if (len < 0) {
			fail(output, errno);
			return;
		}
		output->start += (size_t)len;
		output->mid_line = output->queue.data[output->start - 1] != '\n';
	}
	if (output_pending(output) > 0)
		return;
	buf_clear(&output->queue);
	output->start = 0;
	rest(output);
	output->events.on_empty(output->events.context);
}

/* An error here has lost its number (libuv says EBADF, and stops): write() gives the right one. */
static void on_writable(uv_poll_t *poll, int status, int events)
{
	struct output *output = poll->data;
	(void)events;
	send_some(output);
	if (status < 0 && !output->failed && !output->closed && output_pending(output) > 0)
		(void)uv_poll_start(poll, UV_WRITABLE, on_writable);
}

static void on_later(uv_check_t *check)
{
	send_some(check->data);
}

static void on_awake(uv_idle_t *idle)
{
	(void)idle;
}

static int begin(struct output *output, uv_loop_t *loop)
{
	int flags = fcntl(output->fd, F_GETFL);
	struct stat seen;
	output->is_file = fstat(output->fd, &seen) == 0 && (S_ISREG(seen.st_mode) || S_ISBLK(seen.st_mode));
	output->poll.data = output->later.data = output->awake.data = output;
	if (!output->is_file && uv_poll_init(loop, &output->poll, output->fd)) /* /dev/null is no file, and cannot be polled */
		output->is_file = true;
	if (!output->is_file) {
		output->open_handles = 1;
		return fcntl(output->fd, F_SETFL, flags);
	}
	output->open_handles = 2;
	return uv_check_init(loop, &output->later) || uv_idle_init(loop, &output->awake);
}

struct output *output_new(uv_loop_t *loop, int fd, const struct output_events *events, struct err *err)
{
	struct output *output = calloc(1, sizeof(*output));
	if (!output) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	output->fd = fd;
	output->events = *events;
	buf_init(&output->queue, PENDING_MAX);
	if (begin(output, loop) == 0)
		return output;
	(void)err_set(err, ERR_IO, "cannot use standard output");
	output_close(output);
	return NULL;
}

void output_close(struct output *output)
{
	if (!output || output->closed)
		return;
	output->closed = true;
	if (!output->is_file) {
		uv_close((uv_handle_t *)&output->poll, on_closed);
		return;
	}
	uv_close((uv_handle_t *)&output->later, on_closed);
	uv_close((uv_handle_t *)&output->awake, on_closed);
}

int output_write(struct output *output, const char *bytes, size_t len, struct err *err)
{
	if (output->failed || len == 0)
		return 0;
	if (output->start > output->queue.len / 2) {
		buf_consume(&output->queue, output->start);
		output->start = 0;
	}
	int rc = buf_add(&output->queue, bytes, len);
	if (rc)
		return err_set(err, rc, "standard output is too slow: %d MiB wait for it", PENDING_MAX / 1024 / 1024);
	if (!output->is_file)
		(void)uv_poll_start(&output->poll, UV_WRITABLE, on_writable);
	else {
		(void)uv_check_start(&output->later, on_later);
		(void)uv_idle_start(&output->awake, on_awake);
	}
	return 0;
}

size_t output_pending(const struct output *output)
{
	return output->failed ? 0 : output->queue.len - output->start;
}

bool output_is_at_line_start(const struct output *output)
{
	return !output->mid_line;
}
