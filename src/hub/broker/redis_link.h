/* The hub's connections to the Redis servers that tasks name: one per server and user, shared by all their queues. */
#pragma once

#include "base/err.h"
#include "net/redis_client.h"

#include <stdbool.h>
#include <uv.h>

struct redis_link;
struct redis_links;

struct redis_links_options {
	const char *own_url;   /* of the hub's configuration: this one alone may be a Unix socket. Borrowed; "" or NULL: none */
	bool allow_link_local;
	void *context;
	/* A link came up, or went down (its reason is in redis_link_trouble): never from inside a call to this header. */
	void (*on_change)(void *context, struct redis_link *link);
};

struct redis_links *redis_links_new(uv_loop_t *loop, const struct redis_links_options *options);

/* All links must have been released. */
void redis_links_free(struct redis_links *links);

/* The link for this URL, made if there is none yet; NULL with err set. Release it. */
struct redis_link *redis_link_take(struct redis_links *links, const char *url, struct err *err);
void redis_link_release(struct redis_link *link);

struct redis_client *redis_link_client(const struct redis_link *link);
bool redis_link_is_up(const struct redis_link *link);

/* Why it is not up; "" while it is. */
const char *redis_link_trouble(const struct redis_link *link);

/* It has not tried yet, so nobody knows whether it answers. */
bool redis_link_is_new(const struct redis_link *link);

/* The same database of the same server, whoever logs in. */
bool redis_link_same_place(const struct redis_link *a, const struct redis_link *b);
bool redis_link_is_at(const struct redis_link *link, const char *url);

/* A client of its own to the same server, for a blocking command. Close it. */
struct redis_client *redis_link_second_client(const struct redis_link *link, void *context, void (*on_client_up)(void *context),
					      void (*on_client_down)(void *context, const struct err *reason), struct err *err);
