/* Owns the finding of this machine's address on a container network, and the opening of a listener there. Called by
 * places that have no network of their own. Never changes a network.
 *
 * Happy path: the engine names the bridge's gateway, which is an address of this machine; the listener is bound to it
 * and to the bridge's interface, so that neighbours with a route to it are refused.
 *
 * What can go wrong: the default bridge has no gateway in the answer: its interface's address is looked up. The bridge
 * is not on this machine: loopback, which Docker Desktop reaches as host.docker.internal. The system does not let us
 * bind to an interface (before Linux 5.7 only root may): then without. */
#include "node/runtime/bridge_address.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "net/listen.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { ASK_TIMEOUT_MS = 30000 };

static const char LOOPBACK[] = "127.0.0.1";

struct bridge_address_call {
	struct engine_call *call;
	bridge_address_on_done *on_done;
	void *context;
};

/* ---- reading ---- */

/* The first of an interface's IPv4 addresses that passes: by the interface's name, or by the address itself. */
static bool find_own(const char *interface, const char *wanted, char found[BRIDGE_HOST_MAX], char name[IF_NAMESIZE])
{
	struct ifaddrs *all = NULL;
	bool ok = false;
	if (getifaddrs(&all))
		return false;
	for (const struct ifaddrs *one = all; one && !ok; one = one->ifa_next) {
		char text[INET_ADDRSTRLEN];
		if (!one->ifa_addr || one->ifa_addr->sa_family != AF_INET)
			continue;
		struct sockaddr_in address;
		memcpy(&address, one->ifa_addr, sizeof(address));
		if (!inet_ntop(AF_INET, &address.sin_addr, text, sizeof(text)))
			continue;
		ok = wanted ? strcmp(text, wanted) == 0 : strcmp(one->ifa_name, interface) == 0;
		if (ok) {
			(void)snprintf(found, BRIDGE_HOST_MAX, "%s", text);
			(void)snprintf(name, IF_NAMESIZE, "%s", one->ifa_name);
		}
	}
	freeifaddrs(all);
	return ok;
}

static const char *gateway_of(const json_t *network)
{
	size_t i;
	const json_t *config;
	struct in_addr address;
	json_array_foreach (json_object_get(json_object_get(network, "IPAM"), "Config"), i, config) {
		const char *gateway = json_string_value(json_object_get(config, "Gateway"));
		if (gateway && inet_pton(AF_INET, gateway, &address) == 1)
			return gateway;
	}
	return NULL;
}

void bridge_address_read(struct bridge_address *address, const json_t *network)
{
	const char *gateway = gateway_of(network);
	const char *interface = json_string_value(
		json_object_get(json_object_get(network, "Options"), "com.docker.network.bridge.name"));
	*address = (struct bridge_address){0};
	if ((gateway && find_own(NULL, gateway, address->listen, address->interface)) ||
	    (!gateway && interface && find_own(interface, NULL, address->listen, address->interface))) {
		memcpy(address->host, address->listen, sizeof(address->host));
		return;
	}
	(void)snprintf(address->listen, sizeof(address->listen), "%s", LOOPBACK);
	(void)snprintf(address->host, sizeof(address->host), "host.docker.internal");
	address->interface[0] = '\0';
}

/* ---- asking ---- */

static void on_answer(void *context, const struct engine_answer *answer)
{
	struct bridge_address_call *call = context;
	struct bridge_address address;
	struct err err = {0};
	bridge_address_on_done *on_done = call->on_done;
	void *owner = call->context;
	free(call);
	if (answer->err) {
		err = *answer->err;
		(void)err_wrap(&err, "the containers' network cannot be looked at");
		on_done(owner, NULL, &err);
		return;
	}
	bridge_address_read(&address, answer->json);
	on_done(owner, &address, NULL);
}

struct bridge_address_call *bridge_address_ask(struct engine_host *host, bridge_address_on_done *on_done, void *context,
					       struct err *err)
{
	const char *network = host->options.network[0] ? host->options.network : "bridge";
	char path[256];
	if (!engine_is_name(network) || strcmp(network, "none") == 0 || strcmp(network, "host") == 0) {
		(void)err_set(err, ERR_INVALID,
			      "with network = \"%s\" containers cannot be told apart from others at the gateway: leased "
			      "tasks need \"bridge\" or a network's name there, or gateway = \"namespace\"",
			      network);
		return NULL;
	}
	struct bridge_address_call *call = calloc(1, sizeof(*call));
	if (!call) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	(void)snprintf(path, sizeof(path), "/networks/%s", network);
	const struct engine_request request = {
		.method = "GET",
		.path = path,
		.timeout_ms = ASK_TIMEOUT_MS,
		.context = call,
		.on_answer = on_answer,
	};
	call->on_done = on_done;
	call->context = context;
	call->call = engine_start(host->engine, &request, err);
	if (!call->call) {
		free(call);
		return NULL;
	}
	return call;
}

void bridge_address_cancel(struct bridge_address_call *call)
{
	if (!call)
		return;
	engine_cancel(call->call);
	free(call);
}

/* ---- listening ---- */

int bridge_address_listen(const struct bridge_address *address, unsigned *port, struct err *err)
{
	char text[BRIDGE_HOST_MAX + 8];
	(void)snprintf(text, sizeof(text), "%s:0", address->listen);
	int fd = listen_open(text, err);
	if (fd < 0)
		return -1;
#ifdef SO_BINDTODEVICE
	if (address->interface[0] && setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, address->interface,
						(socklen_t)strlen(address->interface)))
		log_debug("runtime", "the gateway's listener is open to more than %s: %s", address->interface,
			  strerror(errno));
#endif
	*port = listen_port(fd);
	return fd;
}
