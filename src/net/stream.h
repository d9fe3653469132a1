/* A stream of bytes on the loop: to a host and port, to a Unix socket, or over a descriptor that somebody accepted or
 * passed; plain or with TLS. Writes of one turn of the loop leave together. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

struct tls_context;
struct stream;

struct stream_options {
	size_t max_queue;           /* bytes that wait to be sent; 0: 16 MiB */
	size_t low_water;           /* 0: 64 KiB */
	int64_t connect_timeout_ms; /* until open: name, connection and TLS handshake; 0: 10 s */
	bool allow_link_local;      /* 169.254/16 and fe80::/10, where clouds keep their machines' secrets */
	struct tls_context *tls;    /* NULL for plain; the stream takes a reference of its own */
	const char *tls_host;       /* the name that the peer must prove; NULL: the host. Copied */

	/* None is ever called from inside a function of this header. In each of them every function is allowed. */
	void *context;
	void (*on_open)(void *context);
	void (*on_data)(void *context, const char *bytes, size_t len);
	/* The queue fell to low_water, after a write was refused or the peer was slow to read. NULL if nobody cares. */
	void (*on_drained)(void *context);
	/* The end, unless stream_close came first: no callback after it, the stream is gone when it returns. reason: ERR_OK
	 * and "" after stream_end; else ERR_UNREACHABLE (nobody there, connection lost, closed by the peer), ERR_TIMEOUT,
	 * ERR_DENIED (a certificate, an address that is not allowed), ERR_PROTOCOL, ERR_NOMEM. */
	void (*on_closed)(void *context, const struct err *reason);
};

/* NULL with err set when it cannot even begin. */
struct stream *stream_connect_tcp(uv_loop_t *loop, const char *host, unsigned port, const struct stream_options *options,
				  struct err *err);
struct stream *stream_connect_unix(uv_loop_t *loop, const char *path, const struct stream_options *options,
				   struct err *err);

/* The server's side of a connected descriptor (TCP or Unix), which is the stream's from now on, also when this fails. */
struct stream *stream_open_fd(uv_loop_t *loop, int fd, const struct stream_options *options, struct err *err);

/* Takes a copy; sent at the end of this turn. Allowed before on_open. ERR_TOO_BIG over max_queue (nothing of it is sent),
 * ERR_NOMEM, ERR_STATE after stream_end. */
int stream_write(struct stream *stream, const void *bytes, size_t len) MUST_CHECK;

/* Bytes that wait to be sent. */
size_t stream_queued(const struct stream *stream);

/* No on_data until resumed; the peer notices when the buffers between are full. The peer's end is not noticed either. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);

/* Sends what is queued, says that it was all, waits a moment for the peer to end (what it still sends is dropped), then
 * on_closed. A peer so sees the last bytes even if it is just sending. */
void stream_end(struct stream *stream);

/* At once, what is queued is dropped. No callback any more; the memory goes at the end of the turn. NULL is ignored. */
void stream_close(struct stream *stream);
