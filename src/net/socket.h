/* A connected or connecting socket of libuv's, TCP or Unix, on the heap: of dial.c and stream.c alone. */
#pragma once

#include <stdbool.h>
#include <uv.h>

struct socket {
	union {
		uv_handle_t handle;
		uv_stream_t stream;
		uv_tcp_t tcp;
		uv_pipe_t pipe;
	} uv;
	uv_connect_t connect;
	void *owner;                    /* NULL: nobody hears of it any more */
	void (*on_closed)(void *owner); /* after socket_close; NULL if nobody waits */
};

/* NULL only without memory. */
struct socket *socket_new_tcp(uv_loop_t *loop, void *owner);
struct socket *socket_new_unix(uv_loop_t *loop, void *owner);

/* Small writes leave at once, and a peer that is gone is noticed within a minute. For connected TCP sockets. */
void socket_tune(struct socket *socket);

/* The memory goes when libuv lets go of it. NULL is ignored. */
void socket_close(struct socket *socket);
