/* Tells when a client goes while its request is held: libmicrohttpd does not look at suspended connections. Private to net/. */
#pragma once

#include "base/err.h"

#include <uv.h>

struct gone_watch;

/* on_gone: told for one that was added, on the loop; it removes it. NULL with err set. */
struct gone_watch *gone_watch_new(uv_loop_t *loop, void (*on_gone)(void *held), struct err *err);

int gone_watch_add(struct gone_watch *watch, int fd, void *held) MUST_CHECK;
/* Before the descriptor is closed. */
void gone_watch_remove(struct gone_watch *watch, int fd);

/* Frees itself on the loop. NULL is ignored. */
void gone_watch_close(struct gone_watch *watch);
