/* Owns the registering of many nodes, a few connections at a time, as agents do it. Called by load.c. */
#include "load.h"
#include "request.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum { CONNECTIONS = 32, REQUEST_MAX = 2048 };

struct registrations {
	struct load *load;
	struct buf request; /* the same for all: each gets an id of its own */
	size_t asked, answered;
	struct err failure; /* code 0: none */
	struct wire *wires[CONNECTIONS];
};

static void ask(struct registrations *registrations, struct wire *wire)
{
	if (registrations->asked == registrations->load->count)
		return;
	registrations->asked++;
	wire_send(wire, registrations->request.data, registrations->request.len);
}

static void on_open(struct wire *wire, void *owner)
{
	ask(owner, wire);
}

static void on_answer(struct wire *wire, void *owner, int status, const char *body)
{
	struct registrations *registrations = owner;
	AUTO_JSON json_t *answer = json_loads(body, 0, NULL);
	const char *id = json_string_value(json_object_get(answer, "node_id"));
	if (status != 200 || !id) {
		(void)err_set(&registrations->failure, ERR_PROTOCOL, "a registration was answered with %d: %.200s", status,
			      body);
		return;
	}
	(void)puts(id);
	registrations->answered++;
	ask(registrations, wire);
}

static void on_lost(struct wire *wire, void *owner, const char *why)
{
	(void)wire;
	struct registrations *registrations = owner;
	(void)err_set(&registrations->failure, ERR_UNREACHABLE, "%s", why);
}

static int open_wires(struct registrations *registrations, struct err *err)
{
	static const struct wire_events EVENTS = {.on_open = on_open, .on_answer = on_answer, .on_lost = on_lost};
	size_t count = registrations->load->count < CONNECTIONS ? registrations->load->count : CONNECTIONS;
	for (size_t i = 0; i < count; i++) {
		registrations->wires[i] = wire_open(registrations->load->wires, &EVENTS, registrations, err);
		if (!registrations->wires[i])
			return ERR_IO;
	}
	return 0;
}

int registrations_run(struct load *load, struct err *err)
{
	struct registrations registrations = {.load = load};
	buf_init(&registrations.request, REQUEST_MAX);
	int rc = request_write(&registrations.request, "POST", "/gridnode/register", load->token,
			       "{\"node_id\": null, \"hostname\": \"bench\", \"architecture\": \"x86_64\", \"cpu_count\": 16, "
			       "\"run\": \"bench\", \"agent_version\": \"" PROJECT_VERSION "\", \"runtime\": \"docker\", "
			       "\"slots\": 16}");
	if (rc)
		(void)err_set(err, ERR_TOO_BIG, "the token is too long");
	else
		rc = open_wires(&registrations, err);
	while (!rc && registrations.answered < load->count) {
		wires_turn(load->wires, 1000);
		rc = load_in_time(load, err);
		if (!rc && registrations.failure.code) {
			*err = registrations.failure;
			rc = (int)err->code;
		}
	}
	for (size_t i = 0; i < CONNECTIONS; i++)
		wire_close(registrations.wires[i]);
	buf_done(&registrations.request);
	return rc;
}
