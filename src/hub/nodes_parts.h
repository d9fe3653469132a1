/* The registry of nodes from inside: what its own files share. */
#pragma once

#include "hub/nodes.h"

struct nodes {
	struct store *store;
	struct nodes_options options;
	struct node *by_id;     /* uthash, in the order of registration */
	struct node *by_secret; /* uthash, by the hash of the secret: those that have one */
	struct node *online;
	struct node *offline;
	struct node *save_cursor; /* NULL: the next tick begins at the head of `online` */
	uint64_t last_order;
	int64_t last_registered_ms;
	int64_t loaded_ms;      /* monotonic; used while loading */
	int64_t loaded_wall_ms;
};

/* A new node takes its place; its id and secret_hash are final. */
void nodes_add(struct nodes *nodes, struct node *node, bool online);

/* Writes it, alone. */
int nodes_save(struct nodes *nodes, struct node *node, struct err *err) MUST_CHECK;

/* It is Offline from now on; `why` is for the log. */
void nodes_put_offline(struct nodes *nodes, struct node *node, const char *why);

/* Its secret_hash is about to change / has changed. Nothing where it is no hash. */
void nodes_unindex_secret(struct nodes *nodes, struct node *node);
void nodes_index_secret(struct nodes *nodes, struct node *node);
