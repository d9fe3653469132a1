/* Asking a program of a local system whether it is ready: one question over one connection, with short timeouts. */
#pragma once

#include "base/buf.h"

#include <stdbool.h>

/* Whether the Redis at this socket takes commands. */
bool local_probe_redis(const char *socket_path);

/* GET from a hub on this machine. True for an answer of status 200; its body is then in `body` (NULL: of no interest), as far as
 * its cap allows. token: "" for none. */
bool local_probe_hub(const char *host, unsigned port, const char *path, const char *token, struct buf *body);
