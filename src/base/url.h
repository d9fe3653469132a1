/* URLs, as far as this project meets them: parsed, checked for form, and shown without their passwords. The parsing
 * itself is libcurl's. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Where a hub is: "http://" or "https://", a host, and no user, query or fragment. */
int url_check_http(const char *url, struct err *err) MUST_CHECK;

/* redis://[user][:password@]host[:port][/database] or rediss://…, as users write it for their containers. */
int url_check_redis(const char *url, struct err *err) MUST_CHECK;

/* The URL with its password (and a lone user, which may be one) as "***"; free() it. What does not parse is masked
 * whole. NULL only without memory. */
char *url_masked(const char *url) MUST_CHECK;
