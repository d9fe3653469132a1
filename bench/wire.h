/* Keep-alive HTTP/1.1 connections by the thousands, on one epoll, with or without TLS: what the load is made of. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct wires;
struct wire;

/* What the owner of a wire hears. on_open once; on_answer once per request that was sent; on_lost when the connection
 * breaks or the answer is no HTTP, after which the wire may only be closed. */
struct wire_events {
	void (*on_open)(struct wire *wire, void *owner);
	void (*on_answer)(struct wire *wire, void *owner, int status, const char *body);
	void (*on_lost)(struct wire *wire, void *owner, const char *why);
};

/* target: "http://127.0.0.1:PORT" or "https://127.0.0.1:PORT", loopback alone. A server's certificate is not looked at:
 * both ends are ours, on this machine. NULL with err set. */
struct wires *wires_new(const char *target, struct err *err);
void wires_free(struct wires *wires); /* after its wires */

/* Waits at most that long for something to happen, and tells what did. */
void wires_turn(struct wires *wires, int timeout_ms);

/* Begins to connect. NULL with err set. */
struct wire *wire_open(struct wires *wires, const struct wire_events *events, void *owner, struct err *err);
void wire_close(struct wire *wire); /* also inside its own callbacks; NULL is ignored */

/* The request stays the caller's, and must live until its answer. One at a time. */
void wire_send(struct wire *wire, const char *request, size_t len);

/* CLOCK_MONOTONIC, in nanoseconds. */
int64_t wires_now_ns(void);
