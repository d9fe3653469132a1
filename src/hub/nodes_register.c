/* Owns who gets which id, epoch and secret. Called through nodes.h by the API; never answers anybody, and never keeps or logs a
 * secret itself.
 *
 *   an id as the hub knows it:
 *
 *   NONE ("") --an agent that knows leases registers--> SECRET (its hash) --revoked--> REVOKED ("revoked")
 *
 * NONE     a seed agent: whoever has the seed's token speaks for it
 * SECRET   who brings the secret speaks for it, and keeps it; who asks for the id without it becomes another node
 * REVOKED  nobody speaks for it any more */
#include "hub/nodes_parts.h"

#include "hub/secret_hash.h"

#include <stdlib.h>
#include <string.h>

_Static_assert((int)NODE_SECRET_HASH_SIZE == (int)SECRET_HASH_SIZE, "a node's secret_hash holds a hash");

struct node *nodes_find_by_secret(const struct nodes *nodes, const char *secret)
{
	char hash[SECRET_HASH_SIZE];
	struct node *node = NULL;
	if (*secret && secret_hash(secret, hash))
		HASH_FIND(hh_secret, nodes->by_secret, hash, SECRET_HASH_SIZE - 1, node);
	return node;
}

static bool has_secret(const struct node *node)
{
	return strlen(node->secret_hash) == SECRET_HASH_SIZE - 1;
}

void nodes_index_secret(struct nodes *nodes, struct node *node)
{
	if (has_secret(node))
		HASH_ADD(hh_secret, nodes->by_secret, secret_hash, SECRET_HASH_SIZE - 1, node);
}

void nodes_unindex_secret(struct nodes *nodes, struct node *node)
{
	if (has_secret(node))
		HASH_DELETE(hh_secret, nodes->by_secret, node); /* NOLINT(clang-analyzer-core.NullDereference): uthash's own */
}

/* ---- who it is ---- */

/* The known node that may keep its id; NULL: a new one. */
static struct node *find_kept(const struct nodes *nodes, const struct register_message *message, const struct claim *claim)
{
	if (claim->node)
		return claim->node;
	struct node *node = message->node_id ? nodes_find(nodes, message->node_id) : NULL;
	if (!node)
		return NULL;
	bool proven = message->node_secret && nodes_find_by_secret(nodes, message->node_secret) == node;
	bool never_had_one = !node->secret_hash[0];
	return proven || (never_had_one && claim->seed) ? node : NULL;
}

static bool same_run(const struct node *node, const char *run)
{
	return node->run && run && strcmp(node->run, run) == 0;
}

/* Both for good, even if they cannot be saved now: the run that the stop was for is over, and a higher epoch does no harm. */
static void begin_run(struct node *node, struct moment now)
{
	node->stop_requested = false;
	node->epoch = now.wall_ms > node->epoch ? now.wall_ms : node->epoch + 1;
}

/* Sets the hash of a fresh secret, where the node is to have one and has none. */
static int give_secret(struct node *node, char secret[TOKEN_SIZE], struct err *err)
{
	secret[0] = '\0';
	if (!node->leases || has_secret(node))
		return 0;
	random_token(secret);
	if (secret_hash(secret, node->secret_hash))
		return 0;
	secret[0] = '\0';
	return err_set(err, ERR_NOMEM, "out of memory");
}

/* ---- registration ---- */

static int register_new(struct nodes *nodes, const struct register_message *message, struct moment now,
			struct registration *registered, struct err *err)
{
	if (nodes_count(nodes) >= nodes->options.max_nodes)
		return err_set(err, ERR_TOO_BIG, "the hub knows %zu nodes already, its limit", nodes->options.max_nodes);
	struct node *node = calloc(1, sizeof(*node));
	if (!node || !node_take_registration(node, message)) {
		node_free(node);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	random_uuid(node->id);
	begin_run(node, now);
	/* Growing, whatever the clock does: the store keeps the order of nodes by it. */
	node->registered_ms = now.wall_ms > nodes->last_registered_ms ? now.wall_ms : nodes->last_registered_ms + 1;
	node->seen_wall_ms = now.wall_ms;
	node->seen_ms = now.monotonic_ms;
	int rc = give_secret(node, registered->secret, err);
	if (!rc)
		rc = nodes_save(nodes, node, err);
	if (rc) {
		node_free(node);
		return rc;
	}
	nodes_add(nodes, node, true);
	registered->node = node;
	return 0;
}

static int register_again(struct nodes *nodes, struct node *node, const struct register_message *message, struct moment now,
			  struct registration *registered, struct err *err)
{
	bool had_secret = has_secret(node);
	if (!same_run(node, message->run) || node->epoch == 0)
		begin_run(node, now);
	if (!node_take_registration(node, message))
		return err_set(err, ERR_NOMEM, "out of memory");
	nodes_seen(nodes, node, now);
	int rc = give_secret(node, registered->secret, err);
	if (!rc)
		rc = nodes_save(nodes, node, err);
	if (rc && !had_secret)
		node->secret_hash[0] = '\0'; /* nobody will ever see it */
	else if (!rc && !had_secret)
		nodes_index_secret(nodes, node);
	registered->node = rc ? NULL : node;
	return rc;
}

int nodes_register(struct nodes *nodes, const struct register_message *message, const struct claim *claim,
		   struct moment now, struct registration *registered, struct err *err)
{
	*registered = (struct registration){0};
	struct node *node = find_kept(nodes, message, claim);
	int rc = node ? register_again(nodes, node, message, now, registered, err)
		      : register_new(nodes, message, now, registered, err);
	if (rc)
		registered->secret[0] = '\0';
	return rc;
}

/* ---- revocation ---- */

int nodes_revoke(struct nodes *nodes, struct node *node, struct err *err)
{
	char old_hash[NODE_SECRET_HASH_SIZE];
	if (!node->secret_hash[0])
		return err_set(err, ERR_STATE, "this node has no secret of its own, it uses the hub's token; change that to keep it out");
	if (!has_secret(node))
		return 0; /* revoked already */
	nodes_unindex_secret(nodes, node);
	memcpy(old_hash, node->secret_hash, sizeof(old_hash));
	(void)strcpy(node->secret_hash, NODE_REVOKED);
	int rc = nodes_save(nodes, node, err);
	if (rc) {
		memcpy(node->secret_hash, old_hash, sizeof(old_hash));
		nodes_index_secret(nodes, node);
		return rc;
	}
	nodes_put_offline(nodes, node, "revoked");
	return 0;
}
