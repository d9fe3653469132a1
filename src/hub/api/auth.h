/* Who may call: the bearer token. */
#pragma once

#include "hub/hub.h"
#include "net/http.h"

#include <stdbool.h>

/* Whether the request carries the hub's token. A wrong one is logged, but not more than once in a while. */
bool auth_allows(struct hub *hub, const struct http_request *request);
