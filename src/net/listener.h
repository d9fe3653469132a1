/* Accepts connections on a listening descriptor, TCP or Unix: one of our own (listen.h), or one that was passed. */
#pragma once

#include "base/err.h"

#include <uv.h>

struct listener;

struct listener_options {
	unsigned max_connections; /* open at once; further ones wait in the kernel's backlog. 0: 1024 */
	unsigned max_per_turn;    /* accepted before others on the loop have their turn. 0: 64 */
	void *context;
	/* The descriptor is non-blocking, close-on-exec, and the callee's. It calls listener_released when it is closed. */
	void (*on_connection)(void *context, int fd);
	/* The listening descriptor is broken, or there is none to accept with (EMFILE; it goes on trying). Only on a change;
	 * NULL if nobody cares. */
	void (*on_trouble)(void *context, const struct err *err);
};

/* The descriptor is the listener's from now on, also when this fails. NULL with err set. */
struct listener *listener_new(uv_loop_t *loop, int fd, const struct listener_options *options, struct err *err);

/* A connection that was handed on is closed: another one has room. Not after listener_close. */
void listener_released(struct listener *listener);

unsigned listener_connections(const struct listener *listener);

/* No callback any more; the memory goes at the end of the turn. Open connections live on. NULL is ignored. */
void listener_close(struct listener *listener);
