/* URLs, as far as this project meets them: parsed, checked for form, and shown without their passwords. The parsing
 * itself is libcurl's. */
#pragma once

#include "base/err.h"

#include <stdbool.h>

/* Where a hub is: "http://" or "https://", a host, and no user, query or fragment. */
int url_check_http(const char *url, struct err *err) MUST_CHECK;

/* redis://[user][:password@]host[:port][/database] or rediss://…, as users write it for their containers. */
int url_check_redis(const char *url, struct err *err) MUST_CHECK;

/* The same, and unix:///path/of/a/socket: for a Redis that the hub's own configuration names, never for one that a task
 * names. */
int url_check_own_redis(const char *url, struct err *err) MUST_CHECK;

/* A Redis URL's parts, decoded, for whoever connects. */
struct redis_url {
	char *socket;    /* of unix://…, which has no other part; else NULL */
	bool tls;        /* rediss:// */
	char *host;      /* an IPv6 address without its brackets */
	unsigned port;   /* 6379 if none is named */
	char *user;      /* NULL without one */
	char *password;  /* NULL without one */
	unsigned database;
};

/* Stricter than url_check_own_redis, since here nobody else will read it: a user without a password (which some clients take
 * for a password, and others for a user) and a query are refused. redis_url_done it; also after an error. */
int url_parse_redis(const char *url, struct redis_url *parts, struct err *err) MUST_CHECK;
void redis_url_done(struct redis_url *parts);

/* The URL with its password (and a lone user, which may be one) as "***"; free() it. What does not parse is masked
 * whole. NULL only without memory. */
char *url_masked(const char *url) MUST_CHECK;
