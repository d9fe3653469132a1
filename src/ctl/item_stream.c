/* Owns the reading of items from files and from standard input. Called through item_source; never waits: where a pipe or a
 * terminal has nothing yet, the loop says when it has. */
#include "ctl/item_source_parts.h"

#include "base/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024 };

/*   CLOSED --open--> READING --end of the file--> CLOSED … and behind the last file: DONE
 *                       |  ^
 *                       v  | readable
 *                     WAITING (the loop watches the descriptor)   */
struct item_stream {
	struct item_source source;
	uv_loop_t *loop;
	const char *const *files;
	size_t count;
	size_t next;         /* the file that is opened next */
	enum item_end end;
	const char *name;    /* of the file that is read, for messages */
	int fd;              /* -1: none is open */
	bool at_end;         /* of the open file; what is in `bytes` is its rest */
	bool whole_given;    /* ITEM_END_NONE: the open file was given, an empty one too */
	struct buf bytes;
	size_t start;        /* where the next item begins in bytes */
	size_t scanned;      /* no end between start and here */
	int64_t given;       /* items so far */
	uv_poll_t *watch;    /* NULL while nothing was ever waited for; closed with its file */
};

static const char *const STANDARD_INPUT[] = {"-"};

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle);
}

static void close_file(struct item_stream *stream)
{
	if (stream->watch) {
		stream->watch->data = NULL;
		uv_close((uv_handle_t *)stream->watch, on_watch_closed);
		stream->watch = NULL;
	}
	if (stream->fd > STDERR_FILENO)
		(void)close(stream->fd);
	stream->fd = -1;
	stream->at_end = stream->whole_given = false;
	buf_clear(&stream->bytes);
	stream->start = stream->scanned = 0;
}

static int open_file(struct item_stream *stream, struct err *err)
{
	const char *path = stream->files[stream->next++];
	bool standard = strcmp(path, "-") == 0;
	stream->name = standard ? "standard input" : path;
	stream->fd = standard ? STDIN_FILENO : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	return stream->fd < 0 ? err_from_errno(err, errno, "%s", path) : 0;
}

static void on_readable(uv_poll_t *watch, int status, int events)
{
	struct item_stream *stream = watch->data;
	(void)status; /* an error of the descriptor shows at its next read */
	(void)events;
	(void)uv_poll_stop(watch);
	if (stream && stream->source.on_ready)
		stream->source.on_ready(stream->source.context);
}

/* libuv makes a descriptor that it watches non-blocking, for everybody who shares it (the shell, our own standard output):
 * that is undone, since nothing is read here that is not there. */
static int watch(struct item_stream *stream, struct err *err)
{
	if (!stream->watch) {
		int flags = fcntl(stream->fd, F_GETFL);
		uv_poll_t *handle = calloc(1, sizeof(*handle));
		int rc = handle ? uv_poll_init(stream->loop, handle, stream->fd) : UV_ENOMEM;
		if (rc) {
			free(handle);
			return err_set(err, ERR_IO, "%s: cannot wait for it: %s", stream->name, uv_strerror(rc));
		}
		(void)fcntl(stream->fd, F_SETFL, flags);
		handle->data = stream;
		stream->watch = handle;
	}
	int rc = uv_poll_start(stream->watch, UV_READABLE, on_readable);
	return rc ? err_set(err, ERR_IO, "%s: cannot wait for it: %s", stream->name, uv_strerror(rc)) : 0;
}

static bool readable_now(int fd)
{
	struct pollfd look = {.fd = fd, .events = POLLIN};
	return poll(&look, 1, 0) != 0; /* an error is one that read() will tell */
}

/* Makes room in front, then adds a piece of the file. */
static int read_more(struct item_stream *stream, struct err *err)
{
	char chunk[CHUNK];
	buf_consume(&stream->bytes, stream->start);
	stream->scanned -= stream->start;
	stream->start = 0;
	if (stream->bytes.len > ITEM_MAX)
		return err_set(err, ERR_TOO_BIG, "%s: item number %lld is larger than %d MiB", stream->name,
			       (long long)stream->given + 1, ITEM_MAX / 1024 / 1024);
	ssize_t len = read(stream->fd, chunk, sizeof(chunk));
	if (len < 0 && (errno == EINTR || errno == EAGAIN))
		return 0;
	if (len < 0)
		return err_from_errno(err, errno, "%s", stream->name);
	stream->at_end = len == 0;
	return buf_add(&stream->bytes, chunk, (size_t)len) ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static enum item_got give(struct item_stream *stream, struct item *item, size_t end, size_t behind)
{
	item->bytes = stream->bytes.data ? stream->bytes.data + stream->start : "";
	item->len = end - stream->start;
	stream->start = stream->scanned = behind;
	stream->given++;
	return ITEM_READY;
}

/* From what is in memory; false where that is not enough. */
static bool take(struct item_stream *stream, struct item *item, enum item_got *got)
{
	const struct buf *bytes = &stream->bytes;
	if (stream->end != ITEM_END_NONE && stream->scanned < bytes->len) {
		int end = stream->end == ITEM_END_NUL ? '\0' : '\n';
		const char *found = memchr(bytes->data + stream->scanned, end, bytes->len - stream->scanned);
		stream->scanned = bytes->len;
		if (found) {
			size_t at = (size_t)(found - bytes->data);
			*got = give(stream, item, at, at + 1);
			return true;
		}
	}
	bool rest = stream->end == ITEM_END_NONE ? !stream->whole_given : stream->start < bytes->len;
	if (!stream->at_end || !rest)
		return false;
	stream->whole_given = true;
	*got = give(stream, item, bytes->len, bytes->len); /* the last one needs no end */
	return true;
}

static int next(struct item_source *source, struct item *item, enum item_got *got, struct err *err)
{
	struct item_stream *stream = (struct item_stream *)source;
	int rc = 0;
	for (;;) {
		if (stream->fd < 0) {
			if (stream->next == stream->count)
				return 0;
			rc = open_file(stream, err);
			if (rc)
				return rc;
		}
		if (take(stream, item, got))
			break;
		if (stream->at_end) {
			close_file(stream);
			continue;
		}
		if (!readable_now(stream->fd)) {
			*got = ITEM_LATER;
			return watch(stream, err);
		}
		rc = read_more(stream, err);
		if (rc)
			return rc;
	}
	if (item->len > ITEM_MAX)
		return err_set(err, ERR_TOO_BIG, "%s: item number %lld is larger than %d MiB", stream->name,
			       (long long)stream->given, ITEM_MAX / 1024 / 1024);
	return 0;
}

static void free_stream(struct item_source *source)
{
	struct item_stream *stream = (struct item_stream *)source;
	close_file(stream);
	buf_done(&stream->bytes);
	free(stream);
}

static const struct item_source_kind KIND = {.next = next, .free = free_stream};

struct item_source *item_stream_new(uv_loop_t *loop, const char *const *files, size_t count, enum item_end end)
{
	struct item_stream *stream = calloc(1, sizeof(*stream));
	if (!stream)
		return NULL;
	*stream = (struct item_stream){.source.kind = &KIND,
				       .loop = loop,
				       .files = count ? files : STANDARD_INPUT,
				       .count = count ? count : 1,
				       .end = end,
				       .fd = -1};
	buf_init(&stream->bytes, ITEM_MAX + 2 * CHUNK);
	return &stream->source;
}
