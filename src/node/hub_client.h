/* The agent's side of the conversation with the hub: register, heartbeat, the held task call; each repeated with growing,
 * jittered pauses for as long as the hub does not answer. */
#pragma once

#include "base/backoff.h"
#include "base/err.h"
#include "net/http_client.h"
#include "node/item_pool.h"
#include "proto/node_messages.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* When a hub dies, the held calls of all its nodes break in the same millisecond: the first calls after that are spread over
 * seconds (10,000 nodes: a few hundred in 100 ms, test_hub_retry), and one node is back in two on average. */
#define HUB_BACKOFF BACKOFF_SPREAD(4000, 60 * 1000)

struct hub_client;

/* What the hub answered to our registration; the strings are borrowed. */
struct hub_registration {
	const char *node_id;
	const char *new_secret; /* to be kept; NULL where we go on with what we have, or where the hub gives none */
	int64_t epoch;          /* of this run; 0 from a hub without leases */
};

struct hub_client_options {
	const char *server_url;
	const char *token;      /* registers; all other calls too where the hub gives no secrets (a seed hub) */
	const char *token_hint; /* where the token is set, for the message about a wrong one */
	const char *platform;   /* "linux/amd64" */
	int64_t heartbeat_interval_ms;
	struct register_message registration; /* without node_id and node_secret */
	const char *node_id;                  /* "": none yet */
	const char *node_secret;              /* "": none yet */

	void *context;
	/* The hub knows us now; again after it had forgotten us. Keeps the new secret, and returns whether it could: if not, we
	 * go on with the old one, which the hub takes for as long as it has not seen the new one. */
	bool (*on_registered)(void *context, const struct hub_registration *registration);
	/* What to work on: an object or JSON null, and its version (-1 from a seed hub). Also when it is what it was. */
	void (*on_task)(void *context, json_t *task, int64_t version);
	/* The hub wants this agent to end. Told once. */
	void (*on_stop)(void *context);
	/* Fills in how we fare; the strings must live until the next turn of the loop. */
	void (*fill_heartbeat)(void *context, struct heartbeat_message *message);
};

/* The options' pointers must outlive the client, except the secret, which is copied. Begins to register at once. */
struct hub_client *hub_client_new(uv_loop_t *loop, struct http_client *http, const struct hub_client_options *options);

/* Something that heartbeats tell has changed: the next one comes soon. */
void hub_client_report_soon(struct hub_client *client);

/* How item pools call the hub; their context is the client. */
extern const struct hub_ops HUB_CLIENT_OPS;

/* Registers anew at once: what the hub knows of us is not true any more. */
void hub_client_register_again(struct hub_client *client);

/* No more calls, but a last heartbeat that says goodbye; on_left comes when it is told, or after a short while. */
void hub_client_leave(struct hub_client *client, void (*on_left)(void *context));

/* Cancels what runs; frees itself on the loop. */
void hub_client_close(struct hub_client *client);
