/* Owns the check of tokens. Called by the dispatcher for every route that is not open; never logs a token. */
#include "hub/api/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <string.h>

enum { LOG_EVERY_MS = 10 * 1000, RIGHT_ALL = RIGHT_READ | RIGHT_CHANGE | RIGHT_JOIN | RIGHT_SEED };

static const struct {
	unsigned rights; /* any of them will do */
	bool own_secret; /* so will a node's */
	const char *missing;
} ROLES[ROLE_COUNT] = {
	[ROLE_VIEWER] = {RIGHT_READ, false, "this call needs the hub's viewer_token or admin_token"},
	[ROLE_ADMIN] = {RIGHT_CHANGE, false, "this call needs the hub's admin_token"},
	[ROLE_JOINER] = {RIGHT_JOIN, true, "this call needs the hub's join_token, or a node's own secret"},
	[ROLE_NODE] = {0, true, "this call needs a node's own secret, which registration gives"},
	[ROLE_ANY_NODE] = {RIGHT_SEED, true, "this call needs a node's own secret, which registration gives"},
};

static void log_refusal(struct hub *hub, const struct http_request *request, const char *why)
{
	int64_t now = clock_monotonic_ms();
	if (hub->refused_logged_ms && now - hub->refused_logged_ms < LOG_EVERY_MS) {
		hub->refused_since++;
		return;
	}
	char peer[64];
	http_peer(request, peer, sizeof(peer));
	log_warn(NULL, "refused %s from %s: %s (and %u more since the last such line)", request->path, peer, why,
		 hub->refused_since);
	hub->refused_logged_ms = now;
	hub->refused_since = 0;
}

/* Compares with every token, whichever fits, so that the time tells nothing. */
static unsigned rights_of(const struct hub_config *config, const char *given)
{
	const struct {
		const char *token;
		unsigned rights;
	} tokens[] = {{config->token, RIGHT_ALL},
		      {config->admin_token, RIGHT_READ | RIGHT_CHANGE | RIGHT_JOIN},
		      {config->viewer_token, RIGHT_READ},
		      {config->join_token, RIGHT_JOIN}};
	size_t len = strlen(given);
	unsigned rights = 0;
	for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
		rights |= tokens[i].token && secret_equal(tokens[i].token, given, len) ? tokens[i].rights : 0;
	return rights;
}

bool auth_identify(struct hub *hub, const struct http_request *request, struct caller *caller)
{
	const char *given = request->bearer ? request->bearer : "";
	*caller = (struct caller){.rights = rights_of(hub->config, given)};
	if (!caller->rights)
		caller->node = nodes_find_by_secret(hub->nodes, given);
	if (caller->rights || caller->node)
		return true;
	log_refusal(hub, request, request->bearer ? "wrong token" : "no token");
	return false;
}

const char *auth_missing(const struct caller *caller, enum route_role role)
{
	bool allowed = role == ROLE_ANYBODY || (caller->rights & ROLES[role].rights) ||
		       (caller->node && ROLES[role].own_secret);
	return allowed ? NULL : ROLES[role].missing;
}

void auth_log_forbidden(struct hub *hub, const struct http_request *request, const struct caller *caller)
{
	char why[LIMIT_NODE_ID + 64];
	if (caller->node)
		(void)snprintf(why, sizeof(why), "node=%s may not", caller->node->id);
	else
		(void)snprintf(why, sizeof(why), "that token may not");
	log_refusal(hub, request, why);
}
