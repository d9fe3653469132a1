/* What Redis' error replies mean for us: of redis_client.c alone. */
#pragma once

#include "base/err.h"
#include "net/resp.h"

#include <stdbool.h>

/* Fills err with the meaning of an error reply; of Redis' text it holds at most the first word. Returns whether nothing
 * can be done with this Redis for now, so that the connection is of no use: it is loading, or its master is away. */
bool redis_error_explain(const struct resp_value *reply, struct err *err);

/* Whether the error reply begins with this word. */
bool redis_error_is(const struct resp_value *reply, const char *word);
