/* Owns the Redis clients of the broker. Called by the broker and its queues; never sends a command itself. */
#include "hub/broker/redis_link.h"

#include "base/log.h"
#include "base/text.h"
#include "base/url.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <utlist.h>

struct redis_link {
	struct redis_links *links;
	char *url;
	struct redis_url place;
	struct redis_client *client;
	unsigned users;
	bool is_new;                /* neither up nor down yet */
	char trouble[ERR_TEXT_MAX]; /* "" while up */
	struct redis_link *prev, *next;
};

struct redis_links {
	uv_loop_t *loop;
	struct redis_links_options options;
	struct redis_link *all;
};

struct redis_links *redis_links_new(uv_loop_t *loop, const struct redis_links_options *options)
{
	struct redis_links *links = calloc(1, sizeof(*links));
	if (!links)
		return NULL;
	links->loop = loop;
	links->options = *options;
	return links;
}

void redis_links_free(struct redis_links *links)
{
	assert(!links || !links->all);
	free(links);
}

static void on_up(void *context)
{
	struct redis_link *link = context;
	link->is_new = false;
	link->trouble[0] = '\0';
	log_info(NULL, "%s answers", redis_client_name(link->client));
	link->links->options.on_change(link->links->options.context, link);
}

static void on_down(void *context, const struct err *reason)
{
	struct redis_link *link = context;
	link->is_new = false;
	text_copy(link->trouble, sizeof(link->trouble), reason->text);
	log_warn(NULL, "%s; trying again", reason->text);
	link->links->options.on_change(link->links->options.context, link);
}

static void free_link(struct redis_link *link)
{
	redis_client_close(link->client);
	redis_url_done(&link->place);
	free(link->url);
	free(link);
}

/* Tasks cannot name a Unix socket (task_spec refuses it); should one come here all the same, it is not connected to. */
static bool is_own(const struct redis_links *links, const char *url)
{
	return links->options.own_url && strcmp(links->options.own_url, url) == 0;
}

struct redis_link *redis_link_take(struct redis_links *links, const char *url, struct err *err)
{
	struct redis_link *link;
	DL_FOREACH(links->all, link) {
		if (strcmp(link->url, url) == 0) {
			link->users++;
			return link;
		}
	}
	link = calloc(1, sizeof(*link));
	char *copy = strdup(url);
	if (!link || !copy) {
		free(link);
		free(copy);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	link->links = links;
	link->url = copy;
	link->users = 1;
	link->is_new = true;
	int rc = url_parse_redis(url, &link->place, err);
	const struct redis_client_options options = {.url = url,
						     .allow_unix_url = is_own(links, url),
						     .allow_link_local = links->options.allow_link_local,
						     .context = link,
						     .on_up = on_up,
						     .on_down = on_down};
	link->client = rc ? NULL : redis_client_new(links->loop, &options, err);
	if (!link->client) {
		free_link(link);
		return NULL;
	}
	(void)snprintf(link->trouble, sizeof(link->trouble), "connecting to %s", redis_client_name(link->client));
	DL_APPEND(links->all, link);
	return link;
}

void redis_link_release(struct redis_link *link)
{
	if (!link || --link->users > 0)
		return;
	DL_DELETE(link->links->all, link);
	free_link(link);
}

struct redis_client *redis_link_client(const struct redis_link *link)
{
	return link->client;
}

bool redis_link_is_up(const struct redis_link *link)
{
	return redis_client_is_up(link->client);
}

const char *redis_link_trouble(const struct redis_link *link)
{
	return link->trouble;
}

bool redis_link_is_new(const struct redis_link *link)
{
	return link->is_new;
}

static bool same(const struct redis_url *a, const struct redis_url *b)
{
	if (a->socket || b->socket)
		return a->socket && b->socket && strcmp(a->socket, b->socket) == 0;
	return a->port == b->port && a->database == b->database && strcasecmp(a->host, b->host) == 0;
}

bool redis_link_same_place(const struct redis_link *a, const struct redis_link *b)
{
	return a == b || same(&a->place, &b->place);
}

bool redis_link_is_at(const struct redis_link *link, const char *url)
{
	struct redis_url place;
	struct err err = {0};
	bool good = url_parse_redis(url, &place, &err) == 0 && same(&link->place, &place);
	redis_url_done(&place);
	return good;
}

struct redis_client *redis_link_second_client(const struct redis_link *link, void *context, void (*on_client_up)(void *context),
					      void (*on_client_down)(void *context, const struct err *reason), struct err *err)
{
	const struct redis_client_options options = {.url = link->url,
						     .allow_unix_url = is_own(link->links, link->url),
						     .allow_link_local = link->links->options.allow_link_local,
						     .context = context,
						     .on_up = on_client_up,
						     .on_down = on_client_down};
	return redis_client_new(link->links->loop, &options, err);
}
