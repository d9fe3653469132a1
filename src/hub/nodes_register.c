/* Owns who gets which id, epoch and secret, and who loses it. Called through nodes.h by the API; never answers anybody, and never
 * keeps or logs a secret itself.
 *
 *   an id as the hub knows it:
 *
 *   NONE ("") --an agent that knows leases registers--> SECRET (its hash) --revoked--> REVOKED ("revoked")
 *
 * NONE     a seed agent: whoever has the seed's token speaks for it
 * SECRET   who brings the secret speaks for it, and keeps it; who asks for the id without it becomes another node
 * REVOKED  nobody speaks for it any more */
#include "base/text.h"
#include "hub/nodes_parts.h"

#include <stdlib.h>
#include <string.h>

/* ---- who it is ---- */

/* The known node that may keep its id; NULL: a new one. */
static struct node *find_kept(struct nodes *nodes, const struct register_message *message, const struct claim *claim)
{
	if (claim->node)
		return claim->node;
	struct node *node = message->node_id ? nodes_find(nodes, message->node_id) : NULL;
	if (!node)
		return NULL;
	bool proven = message->node_secret && nodes_find_by_secret(nodes, message->node_secret) == node;
	bool never_had_one = !node->secret.hash[0];
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

/* Draws what the node is to have now; "" where it goes on with what it has. One that was given and not used may never have
 * arrived: another takes its place, and the caller frees the old one, or puts it back. */
static int give_secret(struct node *node, bool new_run, char text[TOKEN_SIZE], struct err *err)
{
	bool has_one = node_secret_is_set(&node->secret);
	if (!node->leases || (has_one && !new_run && !node->fresh))
		return 0;
	if (has_one)
		node->fresh = calloc(1, sizeof(*node->fresh));
	struct node_secret *secret = has_one ? node->fresh : &node->secret;
	return secret && node_secret_draw(secret, text) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
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
	int rc = give_secret(node, true, registered->secret, err);
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

/* The node with what the message says, and with a new secret where it gets one: all of it, or an error. */
static int save_again(struct nodes *nodes, struct node *node, bool new_run, struct registration *registered, struct err *err)
{
	const struct node_secret old_secret = node->secret;
	struct node_secret *old_fresh = node->fresh;
	nodes_unindex_secrets(nodes, node);
	int rc = give_secret(node, new_run, registered->secret, err);
	if (!rc)
		rc = nodes_save(nodes, node, err);
	struct node_secret *unneeded = rc ? node->fresh : old_fresh;
	if (rc) { /* nobody will ever see the new one */
		memcpy(node->secret.hash, old_secret.hash, sizeof(node->secret.hash));
		node->fresh = old_fresh;
	}
	if (unneeded != node->fresh)
		free(unneeded);
	nodes_index_secrets(nodes, node);
	return rc;
}

static int register_again(struct nodes *nodes, struct node *node, const struct register_message *message, struct moment now,
			  struct registration *registered, struct err *err)
{
	bool new_run = !same_run(node, message->run) || node->epoch == 0;
	if (new_run)
		begin_run(node, now);
	if (!node_take_registration(node, message))
		return err_set(err, ERR_NOMEM, "out of memory");
	nodes_seen(nodes, node, now);
	int rc = save_again(nodes, node, new_run, registered, err);
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
	const struct node_secret old_secret = node->secret;
	struct node_secret *old_fresh = node->fresh;
	if (!node->secret.hash[0])
		return err_set(err, ERR_STATE, "this node has no secret of its own, it uses the hub's token; change that to keep it out");
	if (!node_secret_is_set(&node->secret))
		return 0; /* revoked already */
	nodes_unindex_secrets(nodes, node);
	text_copy(node->secret.hash, sizeof(node->secret.hash), NODE_REVOKED);
	node->fresh = NULL;
	int rc = nodes_save(nodes, node, err);
	if (rc) {
		memcpy(node->secret.hash, old_secret.hash, sizeof(node->secret.hash));
		node->fresh = old_fresh;
		nodes_index_secrets(nodes, node);
		return rc;
	}
	free(old_fresh);
	nodes_put_offline(nodes, node, "revoked");
	return 0;
}
