/* The registry of nodes from inside: what its own files share. */
#pragma once

#include "hub/nodes.h"

struct nodes {
	struct store *store;
	struct nodes_options options;
	struct node *by_id;          /* uthash, in the order of registration */
	struct node_secret *secrets; /* uthash, by hash */
	struct node *online;
	struct node *offline;
	struct node *save_cursor;    /* NULL: the next tick begins at the head of `online` */
	uint64_t last_order;
	int64_t last_registered_ms;
	int64_t loaded_ms;           /* monotonic; used while loading */
	int64_t loaded_wall_ms;
};

/* A new node takes its place; its id is final. */
void nodes_add(struct nodes *nodes, struct node *node, bool online);

/* Writes it, alone. */
int nodes_save(struct nodes *nodes, struct node *node, struct err *err) MUST_CHECK;

/* It is Offline from now on; `why` is for the log. */
void nodes_put_offline(struct nodes *nodes, struct node *node, const char *why);

/* ---- nodes_secret.c ---- */

/* A hash, and not "" or NODE_REVOKED. */
bool node_secret_is_set(const struct node_secret *secret);

/* Draws a new one. False without memory: it is "" then. Not while it is in the table. */
bool node_secret_draw(struct node_secret *secret, char text[TOKEN_SIZE]);

/* Into the table and out of it, before and after its secrets change; those that are none are passed over. */
void nodes_index_secrets(struct nodes *nodes, struct node *node);
void nodes_unindex_secrets(struct nodes *nodes, struct node *node);
