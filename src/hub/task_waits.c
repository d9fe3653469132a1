/* Owns the held task calls. Called by the API (hold), by the hub (a switch, a stop, the clock) and by the server (the
 * client went); never looks at tasks.
 *
 *   held --switch, stop, deadline, or a newer call of the same node--> answered
 *     |
 *     +--client gone--> dropped
 *
 * Calls stand in buckets by how long they asked to wait. All of a bucket wait equally long, so each is ordered by
 * deadline without sorting, and the next deadline is among the buckets' heads. */
#include "hub/task_waits.h"

#include "base/err.h"
#include "base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

enum { BUCKETS = LIMIT_TASK_WAIT_S + 1 };

struct task_waits {
	struct task_wait *buckets[BUCKETS];
	void (*answer)(void *context, const struct task_wait *wait);
	void *context;
};

struct task_waits *task_waits_new(void (*answer)(void *context, const struct task_wait *wait), void *context)
{
	struct task_waits *waits = calloc(1, sizeof(*waits));
	if (!waits)
		return NULL;
	waits->answer = answer;
	waits->context = context;
	return waits;
}

void task_waits_free(struct task_waits *waits)
{
	for (size_t i = 0; waits && i < BUCKETS; i++)
		assert(!waits->buckets[i]);
	free(waits);
}

static void drop(struct task_wait *wait)
{
	DL_DELETE(wait->owner->buckets[wait->wait_s], wait);
	if (wait->node)
		wait->node->wait = NULL;
	free(wait);
}

static void release(struct task_wait *wait)
{
	wait->owner->answer(wait->owner->context, wait);
	drop(wait);
}

static void on_gone(struct http_request *request)
{
	drop(request->holder);
}

int task_waits_hold(struct task_waits *waits, struct http_request *request, struct node *node, const char *platform,
		    int wait_s, int64_t now_ms)
{
	assert(wait_s > 0 && wait_s < BUCKETS);
	struct task_wait *wait = calloc(1, sizeof(*wait));
	if (!wait)
		return ERR_NOMEM;
	wait->request = request;
	wait->owner = waits;
	wait->node = node;
	wait->wait_s = wait_s;
	wait->deadline_ms = now_ms + (int64_t)wait_s * 1000;
	text_copy(wait->platform, sizeof(wait->platform), platform);
	if (node) {
		task_waits_release_node(waits, node);
		node->wait = wait;
	}
	DL_APPEND(waits->buckets[wait_s], wait);
	request->holder = wait;
	request->on_gone = on_gone;
	http_hold(request);
	return 0;
}

void task_waits_release_node(struct task_waits *waits, struct node *node)
{
	(void)waits;
	if (node->wait)
		release(node->wait);
}

void task_waits_release_all(struct task_waits *waits)
{
	for (size_t i = 0; i < BUCKETS; i++) {
		while (waits->buckets[i])
			release(waits->buckets[i]);
	}
}

int64_t task_waits_tick(struct task_waits *waits, int64_t now_ms)
{
	int64_t next_ms = -1;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (waits->buckets[i] && waits->buckets[i]->deadline_ms <= now_ms)
			release(waits->buckets[i]);
		const struct task_wait *head = waits->buckets[i];
		if (head && (next_ms < 0 || head->deadline_ms < next_ms))
			next_ms = head->deadline_ms;
	}
	return next_ms;
}
