/* The held `GET /gridnode/task` calls: who waits for a change, on which version, and until when. */
#pragma once

#include "hub/node.h"
#include "net/http.h"
#include "proto/limits.h"

#include <stdint.h>

struct task_waits;

/* One held call. */
struct task_wait {
	struct http_request *request;
	struct task_waits *owner;
	struct node *node;               /* NULL where the call named none */
	char platform[24];
	int wait_s;                      /* its bucket */
	int64_t deadline_ms;             /* monotonic */
	struct task_wait *prev, *next;   /* in its bucket */
};

/* answer: responds to wait->request; called for every call that is released. */
struct task_waits *task_waits_new(void (*answer)(void *context, const struct task_wait *wait), void *context);

/* Every call must have been released or gone. */
void task_waits_free(struct task_waits *waits);

/* Holds the request; the platform is a known one. An older call of the same node is answered first: its client has given
 * it up, or there are two. */
int task_waits_hold(struct task_waits *waits, struct http_request *request, struct node *node, const char *platform,
		    int wait_s, int64_t now_ms) MUST_CHECK;

void task_waits_release_all(struct task_waits *waits);
/* Nothing where the node holds none. */
void task_waits_release_node(struct task_waits *waits, struct node *node);

/* Releases what is due; returns when the next one is (monotonic), or -1 where none is held. */
int64_t task_waits_tick(struct task_waits *waits, int64_t now_ms);
