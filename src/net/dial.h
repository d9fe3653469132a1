/* Finding somebody to talk to: a host's addresses, tried in their order, or a Unix socket; the result is a connected
 * socket. Of stream.c alone. */
#pragma once

#include "base/err.h"
#include "net/socket.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <uv.h>

struct dial;

/* Once, unless cancelled; the dial is gone when it returns. socket: connected, the callee's; or NULL and err. */
typedef void dial_on_done(void *context, struct socket *socket, const struct err *err);

/* on_done never comes from inside. NULL with err set when it cannot even begin. */
struct dial *dial_tcp(uv_loop_t *loop, const char *host, unsigned port, bool allow_link_local, dial_on_done *on_done,
		      void *context, struct err *err);
struct dial *dial_unix(uv_loop_t *loop, const char *path, dial_on_done *on_done, void *context, struct err *err);

/* NULL is ignored. */
void dial_cancel(struct dial *dial);

/* 169.254/16 and fe80::/10, also as ::ffff:169.254.x.y. */
bool dial_is_link_local(const struct sockaddr *address);
