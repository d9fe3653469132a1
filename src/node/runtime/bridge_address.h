/* Where this machine is on the containers' network: what the gateway listens on, and what containers call it, where it
 * cannot listen in their own network. */
#pragma once

#include "node/runtime/engine_host.h"

#include <net/if.h>

enum { BRIDGE_HOST_MAX = 64 };

struct bridge_address {
	char listen[BRIDGE_HOST_MAX];  /* numeric, of IPv4 */
	char host[BRIDGE_HOST_MAX];    /* the same, or a name that containers know */
	char interface[IF_NAMESIZE];   /* only what comes through it is to be let in; "" where there is none */
};

struct bridge_address_call;

typedef void bridge_address_on_done(void *context, const struct bridge_address *address, const struct err *err);

/* Asks for the network that containers get (runtime_options.network). NULL with err set when it cannot begin; on_done
 * never comes from inside. */
struct bridge_address_call *bridge_address_ask(struct engine_host *host, bridge_address_on_done *on_done, void *context,
					       struct err *err);

/* No callback comes any more. NULL is ignored. */
void bridge_address_cancel(struct bridge_address_call *call);

/* From the engine's answer to GET /networks/{name}. An engine whose bridge is not on this machine (Docker Desktop) forwards
 * host.docker.internal to the machine's loopback: then that. */
void bridge_address_read(struct bridge_address *address, const json_t *network);

/* A listener there, on a free port: non-blocking, close-on-exec; *port is its port. -1 with err set. */
int bridge_address_listen(const struct bridge_address *address, unsigned *port, struct err *err);
