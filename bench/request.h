/* The texts that the load sends. */
#pragma once

#include "base/buf.h"

/* A whole request. body: NULL for none. ERR_NOMEM or ERR_TOO_BIG. */
int request_write(struct buf *into, const char *method, const char *path, const char *token, const char *body) MUST_CHECK;
