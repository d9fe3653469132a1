/* Owns nodes' secrets: their table by hash, and which of two is good. Called by the registry and, for each request that no
 * token of the hub's fits, by the API; never keeps or logs a secret itself.
 *
 * Each run of an agent gets a new one, `fresh`, and until that is used for the first time the old one, `secret`, is good too: the
 * answer that carried it may be lost, or the agent may die before it has saved it. With the first use the old one is out. So of
 * two copies of one disk the first to come stays the node, and the other is refused, registers anew, and is a node of its own. */
#include "hub/nodes_parts.h"

#include <stdlib.h>
#include <string.h>

bool node_secret_is_set(const struct node_secret *secret)
{
	return strlen(secret->hash) == SECRET_HASH_SIZE - 1;
}

bool node_secret_draw(struct node_secret *secret, char text[TOKEN_SIZE])
{
	random_token(text);
	if (secret_hash(text, secret->hash))
		return true;
	text[0] = '\0';
	return false;
}

static void index_one(struct nodes *nodes, struct node *node, struct node_secret *secret)
{
	if (!node_secret_is_set(secret))
		return;
	secret->node = node;
	HASH_ADD_STR(nodes->secrets, hash, secret);
}

static void unindex_one(struct nodes *nodes, struct node_secret *secret)
{
	if (!secret->node)
		return;
	HASH_DEL(nodes->secrets, secret); /* NOLINT(clang-analyzer-core.NullDereference): uthash's own */
	secret->node = NULL;
}

void nodes_index_secrets(struct nodes *nodes, struct node *node)
{
	index_one(nodes, node, &node->secret);
	if (node->fresh)
		index_one(nodes, node, node->fresh);
}

void nodes_unindex_secrets(struct nodes *nodes, struct node *node)
{
	unindex_one(nodes, &node->secret);
	if (node->fresh)
		unindex_one(nodes, node->fresh);
}

/* Not written at once, since this is on the way of every request: the tick does it, and until then a restart of the hub would
 * only have both be good again. */
static void use_fresh(struct nodes *nodes, struct node *node, struct node_secret *fresh)
{
	nodes_unindex_secrets(nodes, node);
	memcpy(node->secret.hash, fresh->hash, sizeof(node->secret.hash));
	free(fresh);
	node->fresh = NULL;
	nodes_index_secrets(nodes, node);
	node->saved_wall_ms = 0;
}

struct node *nodes_find_by_secret(struct nodes *nodes, const char *secret)
{
	char hash[SECRET_HASH_SIZE];
	struct node_secret *found = NULL;
	if (*secret && secret_hash(secret, hash))
		HASH_FIND_STR(nodes->secrets, hash, found);
	struct node *node = found ? found->node : NULL;
	if (node && found == node->fresh)
		use_fresh(nodes, node, found);
	return node;
}
