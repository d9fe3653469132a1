/* A listening TCP descriptor that another process passes over a Unix connection. */
#pragma once

#include "base/err.h"

/* Reads one message from the connection, which does not block. Returns the descriptor, non-blocking and close-on-exec; or
 * -1 with err set: ERR_STATE: nothing is there yet; ERR_UNREACHABLE: the other end is gone; ERR_PROTOCOL: something else
 * came, and whatever descriptors came with it are closed. */
int passed_listener_receive(int connection, struct err *err);
