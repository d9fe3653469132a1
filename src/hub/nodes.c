/* Owns all nodes. Called by the API and by the hub's tick; never answers anybody.
 *
 * Two lists hold every node once, each ordered by when it was last heard: `online` and `offline`. A message moves a node
 * to the end of `online`; the tick moves overdue heads of `online` to the end of `offline`, and forgets old heads of
 * `offline`. So no tick ever walks over nodes that are well. */
#include "hub/nodes_parts.h"

#include "base/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

enum {
	SAVE_AFTER_MS = 60 * 1000, /* how old the stored time may be */
	SAVES_PER_TICK = 500,
};

static void enlist(struct nodes *nodes, struct node *node, bool online)
{
	node->online = online;
	if (online)
		DL_APPEND(nodes->online, node);
	else
		DL_APPEND(nodes->offline, node);
}

static void delist(struct nodes *nodes, struct node *node)
{
	if (nodes->save_cursor == node)
		nodes->save_cursor = node->next;
	if (node->online)
		DL_DELETE(nodes->online, node);
	else
		DL_DELETE(nodes->offline, node);
}

void nodes_add(struct nodes *nodes, struct node *node, bool online)
{
	node->order = ++nodes->last_order;
	if (node->registered_ms > nodes->last_registered_ms)
		nodes->last_registered_ms = node->registered_ms;
	HASH_ADD_STR(nodes->by_id, id, node);
	nodes_index_secrets(nodes, node);
	enlist(nodes, node, online);
}

static void remove_node(struct nodes *nodes, struct node *node)
{
	assert(!node->wait);
	delist(nodes, node);
	nodes_unindex_secrets(nodes, node);
	HASH_DEL(nodes->by_id, node); /* NOLINT(clang-analyzer-core.NullDereference): uthash's own */
	node_free(node);
}

/* ---- loading and saving ---- */

static int by_silence(const struct node *a, const struct node *b)
{
	return (a->seen_ms > b->seen_ms) - (a->seen_ms < b->seen_ms);
}

static void on_loaded(void *context, struct node *node)
{
	struct nodes *nodes = context;
	int64_t age = nodes->loaded_wall_ms - node->seen_wall_ms;
	if (age < 0)
		age = 0; /* the clock was set back meanwhile */
	if (age > nodes->options.offline_after_ms)
		age = nodes->options.offline_after_ms; /* the hub was away and heard nobody: nobody is forgotten for that */
	node->seen_ms = nodes->loaded_ms - age;
	nodes_add(nodes, node, age < nodes->options.offline_after_ms);
}

struct nodes *nodes_load(struct store *store, const struct nodes_options *options, struct moment now, struct err *err)
{
	struct nodes *nodes = calloc(1, sizeof(*nodes));
	if (!nodes) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	nodes->store = store;
	nodes->options = *options;
	nodes->loaded_ms = now.monotonic_ms;
	nodes->loaded_wall_ms = now.wall_ms;
	if (store_load_nodes(store, on_loaded, nodes, err)) {
		nodes_free(nodes);
		return NULL;
	}
	DL_SORT(nodes->online, by_silence);
	DL_SORT(nodes->offline, by_silence);
	return nodes;
}

/* Saves the times of up to `most` nodes whose stored time is older than min_age; true where it may have left some. */
static bool save_times(struct nodes *nodes, int64_t min_age_ms, int most)
{
	struct node *node = nodes->save_cursor ? nodes->save_cursor : nodes->online;
	struct err err = {0};
	int saved = 0;
	bool begun = false;
	int rc = 0;
	for (; node && saved < most && !rc; node = node->next) {
		if (node->seen_wall_ms - node->saved_wall_ms < min_age_ms)
			continue;
		if (!begun)
			rc = store_begin(nodes->store, &err);
		begun = begun || !rc;
		if (!rc)
			rc = store_put_node(nodes->store, node, &err);
		node->saved_wall_ms = node->seen_wall_ms;
		saved++;
	}
	nodes->save_cursor = node;
	if (begun && !rc)
		rc = store_commit(nodes->store, &err);
	else if (begun)
		store_rollback(nodes->store);
	if (rc)
		log_warn(NULL, "could not save when nodes were last seen: %s; it will be tried again", err.text);
	return node != NULL && !rc;
}

void nodes_free(struct nodes *nodes)
{
	if (!nodes)
		return;
	nodes->save_cursor = NULL;
	while (save_times(nodes, 1, SAVES_PER_TICK)) {
	}
	struct node *node;
	struct node *next;
	HASH_ITER (hh, nodes->by_id, node, next)
		remove_node(nodes, node);
	free(nodes);
}

/* ---- reading ---- */

struct node *nodes_find(const struct nodes *nodes, const char *id)
{
	struct node *node = NULL;
	HASH_FIND_STR(nodes->by_id, id, node);
	return node;
}

const struct node *nodes_next(const struct nodes *nodes, struct node_cursor *cursor)
{
	const struct node *last = cursor->order ? nodes_find(nodes, cursor->id) : NULL;
	const struct node *next = last ? last->hh.next : nodes->by_id;
	while (next && next->order <= cursor->order)
		next = next->hh.next; /* only where the last one is gone */
	if (next) {
		cursor->order = next->order;
		memcpy(cursor->id, next->id, sizeof(cursor->id));
	}
	return next;
}

size_t nodes_count(const struct nodes *nodes)
{
	return HASH_COUNT(nodes->by_id);
}

size_t nodes_count_able(const struct nodes *nodes, const struct task_spec *spec)
{
	const struct node *node;
	size_t count = 0;
	DL_FOREACH (nodes->online, node)
		count += node->leases && !node->stop_requested && !node->draining && node_can_run(node, spec);
	return count;
}

/* ---- changing ---- */

int nodes_save(struct nodes *nodes, struct node *node, struct err *err)
{
	int rc = store_begin(nodes->store, err);
	if (rc)
		return rc;
	rc = store_put_node(nodes->store, node, err);
	if (rc) {
		store_rollback(nodes->store);
		return rc;
	}
	rc = store_commit(nodes->store, err);
	if (!rc)
		node->saved_wall_ms = node->seen_wall_ms;
	return rc;
}

static void log_node(const struct node *node, const char *what)
{
	char subject[LIMIT_NODE_ID + 8];
	(void)snprintf(subject, sizeof(subject), "node=%s", node->id);
	log_info(subject, "%s (%s)", what, node->hostname);
}

void nodes_seen(struct nodes *nodes, struct node *node, struct moment now)
{
	if (!node->online)
		log_node(node, "online again");
	delist(nodes, node);
	node->seen_ms = now.monotonic_ms;
	node->seen_wall_ms = now.wall_ms;
	enlist(nodes, node, true);
}

void nodes_put_offline(struct nodes *nodes, struct node *node, const char *why)
{
	delist(nodes, node);
	enlist(nodes, node, false);
	log_node(node, why);
}

int nodes_heartbeat(struct nodes *nodes, struct node *node, const struct heartbeat_message *message, struct moment now,
		    struct err *err)
{
	nodes_seen(nodes, node, now);
	if (!node_take_heartbeat(node, message))
		return err_set(err, ERR_NOMEM, "out of memory");
	if (message->leaving)
		nodes_put_offline(nodes, node, "left");
	return 0;
}

int nodes_request_stop(struct nodes *nodes, struct node *node, struct err *err)
{
	bool was_stopped = node->stop_requested;
	node->stop_requested = true;
	int rc = nodes_save(nodes, node, err);
	if (rc)
		node->stop_requested = was_stopped;
	return rc;
}

int nodes_set_draining(struct nodes *nodes, struct node *node, bool draining, struct err *err)
{
	bool was = node->draining;
	node->draining = draining;
	int rc = nodes_save(nodes, node, err);
	if (rc)
		node->draining = was;
	return rc;
}

/* ---- the tick ---- */

/* Whoever was heard since the hub is back is not put into the future; the order stays. */
static void excuse(struct node *list, int64_t away_ms, struct moment now)
{
	struct node *node;
	DL_FOREACH (list, node) {
		int64_t seen_ms = node->seen_ms + away_ms;
		node->seen_ms = seen_ms < now.monotonic_ms ? seen_ms : now.monotonic_ms;
	}
}

void nodes_excuse(struct nodes *nodes, int64_t away_ms, struct moment now)
{
	excuse(nodes->online, away_ms, now);
	excuse(nodes->offline, away_ms, now);
}

static void put_overdue_offline(struct nodes *nodes, struct moment now)
{
	while (nodes->online && now.monotonic_ms - nodes->online->seen_ms >= nodes->options.offline_after_ms)
		nodes_put_offline(nodes, nodes->online, "offline: not heard from");
}

static void forget(struct nodes *nodes, struct moment now)
{
	while (nodes->offline && now.monotonic_ms - nodes->offline->seen_ms >= nodes->options.forget_after_ms) {
		struct node *node = nodes->offline;
		struct err err = {0};
		int rc = store_begin(nodes->store, &err);
		if (!rc) {
			rc = store_delete_node(nodes->store, node, &err);
			if (rc)
				store_rollback(nodes->store);
			else
				rc = store_commit(nodes->store, &err);
		}
		if (rc) {
			log_warn(NULL, "could not forget a node: %s; it will be tried again", err.text);
			return;
		}
		log_node(node, "forgotten: not heard from for too long");
		nodes->options.on_forget(nodes->options.context, node);
		remove_node(nodes, node);
	}
}

void nodes_tick(struct nodes *nodes, struct moment now)
{
	put_overdue_offline(nodes, now);
	forget(nodes, now);
	(void)save_times(nodes, SAVE_AFTER_MS, SAVES_PER_TICK);
}
