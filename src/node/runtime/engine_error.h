/* What an engine says when it refuses, made into one of our errors with advice for the person who can mend it. */
#pragma once

#include "base/err.h"

#include <stddef.h>

/* An answer with an error status: {"message": "…"}, or whatever bytes came. Returns the code that err then holds. */
int engine_error_from_answer(struct err *err, int status, const char *body, size_t len);

/* A message alone, as streams carry them; `code` where the message itself tells nothing better. */
int engine_error_explain(struct err *err, int code, const char *message);
