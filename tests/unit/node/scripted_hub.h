/* A hub for tests of the item pool and the gateway: what the node posts is kept until the test answers it, by hand or as a
 * small hub would, with a queue of items and a log of what was committed. */
#pragma once

#include "node/item_pool.h"
#include "proto/lease_messages.h"

#include <stdbool.h>
#include <stdint.h>

enum { HUB_POSTS = 64, HUB_ITEMS = 4096 };

struct taken_post {
	bool open;
	char path[256];
	char *body;
	size_t body_len;
	void *context;
	void (*on_done)(void *context, const struct http_result *result);
};

struct scripted_hub {
	struct taken_post posts[HUB_POSTS];
	unsigned started;    /* posts ever */
	unsigned leases, commits, inventories;
	unsigned cancelled;
	bool refuses_start;

	/* The small hub. */
	char *queue[HUB_ITEMS];
	bool alone[HUB_ITEMS];
	size_t first, last;
	unsigned ids;
	int64_t version;
	int64_t executed_n;  /* the last number that took something */
	char log[64 * 1024]; /* what was committed: one outcome a line */
};

extern const struct hub_ops SCRIPTED_HUB;

void hub_done(struct scripted_hub *hub);

/* The open post to this path ("lease", "commit", "inventory"), or NULL. */
struct taken_post *hub_open(struct scripted_hub *hub, const char *what);

/* A number of the JSON body of a post. */
int64_t post_number(const struct taken_post *post, const char *name);

void hub_answer(struct taken_post *post, int status, const char *body, size_t len);
void hub_lose(struct taken_post *post); /* no answer comes */

/* Items: "id=payload", ended by NULL; "id=payload!" is to be alone. */
void hub_answer_lease(struct taken_post *post, enum lease_status status, int64_t waiting, const char *const *items);

/* The batch in words, as in `log`: "done a,b LPUSH out x\n". */
void hub_describe(const struct taken_post *post, char *into, size_t size);

/* The small hub: an item into the queue ("payload", its id is payload and a number); answers whatever is open and can be
 * answered. True if there was anything. */
void hub_push(struct scripted_hub *hub, const char *payload);
bool hub_run(struct scripted_hub *hub);
