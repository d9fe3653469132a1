/* Owns the check of tokens. Called by the dispatcher for every route that is not open; never logs a token. */
#include "hub/api/auth.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"

#include <string.h>

enum { LOG_EVERY_MS = 10 * 1000 };

static void log_refusal(struct hub *hub, const struct http_request *request)
{
	int64_t now = clock_monotonic_ms();
	if (hub->refused_logged_ms && now - hub->refused_logged_ms < LOG_EVERY_MS) {
		hub->refused_since++;
		return;
	}
	char peer[64];
	http_peer(request, peer, sizeof(peer));
	log_warn(NULL, "refused %s from %s: %s token (and %u more since the last such line)", request->path, peer,
		 request->bearer ? "wrong" : "no", hub->refused_since);
	hub->refused_logged_ms = now;
	hub->refused_since = 0;
}

bool auth_allows(struct hub *hub, const struct http_request *request)
{
	const char *given = request->bearer ? request->bearer : "";
	if (secret_equal(hub->config->token, given, strlen(given)))
		return true;
	log_refusal(hub, request);
	return false;
}
