/* A listening TCP socket, from the text that a configuration has. */
#pragma once

#include "base/err.h"

/* "address:port" with a numeric address and a port of 0 to 65535; "[v6]:port"; ":port" for all addresses. */
int listen_check_address(const char *address, struct err *err) MUST_CHECK;

/* The descriptor, non-blocking; or -1 with err set. Port 0 takes a free one. */
int listen_open(const char *address, struct err *err);

/* The port that a listening descriptor really has; 0 if it has none. */
unsigned listen_port(int fd);
