/* The registry of nodes: who is there, who fell silent, who shall stop.
 *
 * A heartbeat costs no write: when a node was last seen goes to the store once a minute, a few nodes per tick. */
#pragma once

#include "base/err.h"
#include "hub/node.h"
#include "hub/store.h"

struct nodes;

struct nodes_options {
	int64_t offline_after_ms;
	int64_t forget_after_ms;
	size_t max_nodes;
	void (*on_forget)(void *context, struct node *node); /* last chance to let go of it */
	void *context;
};

/* Both clocks, read once per event by the owner. */
struct moment {
	int64_t monotonic_ms;
	int64_t wall_ms;
};

struct nodes *nodes_load(struct store *store, const struct nodes_options *options, struct moment now, struct err *err);

/* Writes what was not saved yet. */
void nodes_free(struct nodes *nodes);

/* NULL if unknown. */
struct node *nodes_find(const struct nodes *nodes, const char *id);

/* In the order of their first registration; a listing can be taken up after a pause, also when the node that it stood at is
 * gone. A cursor of zeros begins. NULL at the end. */
struct node_cursor {
	uint64_t order;
	char id[LIMIT_NODE_ID + 1];
};
const struct node *nodes_next(const struct nodes *nodes, struct node_cursor *cursor);

size_t nodes_count(const struct nodes *nodes);

/* How many online nodes understand leases and could run the task; draining ones could not. */
size_t nodes_count_able(const struct nodes *nodes, const struct task_spec *spec);

/* The node whose own secret this is, or NULL. Who shows its newest one has received it: the one before is worth nothing from
 * then on. */
struct node *nodes_find_by_secret(struct nodes *nodes, const char *secret);

/* What somebody who registers has shown by the way he came. */
struct claim {
	struct node *node; /* whose own secret it was, or NULL */
	bool seed;         /* he has the seed's token, which keeps the ids of nodes that never had a secret */
};

struct registration {
	struct node *node;
	char secret[TOKEN_SIZE]; /* the node's new secret, which nobody will see again; "" where it goes on with the one it has */
};

/* A known id is kept against its secret (the claim's, or the message's), or as the claim says; else the node is a new one with
 * a new UUID. A new run gets a new epoch (R5) and clears a stop flag, the same one does not; a seed agent has no run, so each
 * of its registrations is a new one. One that understands leases gets a new secret with each run. ERR_TOO_BIG: too many nodes. */
int nodes_register(struct nodes *nodes, const struct register_message *message, const struct claim *claim,
		   struct moment now, struct registration *registered, struct err *err) MUST_CHECK;

/* Its secret is worth nothing from now on, and it is Offline. ERR_STATE: it never had one. */
int nodes_revoke(struct nodes *nodes, struct node *node, struct err *err) MUST_CHECK;

/* Any message of the node: it is alive. */
void nodes_seen(struct nodes *nodes, struct node *node, struct moment now);

/* A heartbeat's content; one that says that the agent leaves makes the node Offline at once. */
int nodes_heartbeat(struct nodes *nodes, struct node *node, const struct heartbeat_message *message, struct moment now,
		    struct err *err) MUST_CHECK;

int nodes_request_stop(struct nodes *nodes, struct node *node, struct err *err) MUST_CHECK;

/* It gets nothing to run; or again what there is. */
int nodes_set_draining(struct nodes *nodes, struct node *node, bool draining, struct err *err) MUST_CHECK;

/* The hub itself heard nothing for so long (it was stopped, its machine was overloaded): no node was silent meanwhile. */
void nodes_excuse(struct nodes *nodes, int64_t away_ms, struct moment now);

/* Once a second: who is overdue becomes Offline, who was silent for too long is forgotten, and
 * some of what changed is saved. */
void nodes_tick(struct nodes *nodes, struct moment now);
