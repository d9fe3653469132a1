/* Owns the heartbeat load: on each connection a heartbeat of a node of its own, and the next one as soon as it is
 * answered. Called by load.c; counts between a warm-up and the end, the server's CPU time over the same span. */
#include "load.h"
#include "process.h"
#include "request.h"

#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

enum { REQUEST_MAX = 4096, WARM_UP_NS = 300 * 1000 * 1000 };

struct heartbeats;

struct sender {
	struct heartbeats *heartbeats;
	struct wire *wire;
	struct buf request;
};

struct heartbeats {
	struct load *load;
	struct sender *senders; /* load->count */
	size_t open;
	uint64_t answered;
	struct err failure;
};

static void on_open(struct wire *wire, void *owner)
{
	(void)wire;
	struct sender *sender = owner;
	sender->heartbeats->open++;
}

static void send_one(struct sender *sender)
{
	wire_send(sender->wire, sender->request.data, sender->request.len);
}

static void on_answer(struct wire *wire, void *owner, int status, const char *body)
{
	(void)wire;
	struct sender *sender = owner;
	if (status == 200 && strstr(body, "\"stop_requested\":false")) {
		sender->heartbeats->answered++;
		send_one(sender);
	} else {
		(void)err_set(&sender->heartbeats->failure, ERR_PROTOCOL, "a heartbeat was answered with %d: %.200s", status,
			      body);
	}
}

static void on_lost(struct wire *wire, void *owner, const char *why)
{
	(void)wire;
	struct sender *sender = owner;
	(void)err_set(&sender->heartbeats->failure, ERR_UNREACHABLE, "%s", why);
}

static int write_request(struct sender *sender, const char *id, struct err *err)
{
	char body[512];
	buf_init(&sender->request, REQUEST_MAX);
	(void)snprintf(body, sizeof(body),
		       "{\"node_id\":\"%s\",\"status\":\"Running\",\"active_containers\":16,\"task\":\"bench\",\"error\":null,"
		       "\"pull\":null}",
		       id);
	return request_write(&sender->request, "POST", "/gridnode/heartbeat", sender->heartbeats->load->token, body)
		       ? err_set(err, ERR_TOO_BIG, "the token is too long")
		       : 0;
}

static int turn(struct heartbeats *heartbeats, int timeout_ms, struct err *err)
{
	wires_turn(heartbeats->load->wires, timeout_ms);
	if (heartbeats->failure.code) {
		*err = heartbeats->failure;
		return (int)err->code;
	}
	return load_in_time(heartbeats->load, err);
}

static int open_all(struct heartbeats *heartbeats, struct err *err)
{
	static const struct wire_events EVENTS = {.on_open = on_open, .on_answer = on_answer, .on_lost = on_lost};
	int rc = 0;
	for (size_t i = 0; i < heartbeats->load->count && !rc; i++) {
		struct sender *sender = &heartbeats->senders[i];
		sender->heartbeats = heartbeats;
		rc = write_request(sender, heartbeats->load->ids[i], err);
		if (rc)
			break;
		sender->wire = wire_open(heartbeats->load->wires, &EVENTS, sender, err);
		rc = sender->wire ? 0 : ERR_IO;
		while (!rc && heartbeats->open <= i) /* one after the other: no backlog overflows */
			rc = turn(heartbeats, 1000, err);
	}
	return rc;
}

static int run_until(struct heartbeats *heartbeats, int64_t until_ns, struct err *err)
{
	int rc = 0;
	while (!rc && wires_now_ns() < until_ns)
		rc = turn(heartbeats, 10, err);
	return rc;
}

static int measure(struct heartbeats *heartbeats, struct err *err)
{
	const struct load *load = heartbeats->load;
	int64_t cpu_begin_ns = 0;
	int64_t cpu_end_ns = 0;
	for (size_t i = 0; i < load->count; i++)
		send_one(&heartbeats->senders[i]);
	int rc = run_until(heartbeats, wires_now_ns() + WARM_UP_NS, err);
	if (!rc && load->pid)
		rc = process_cpu_ns(load->pid, &cpu_begin_ns, err);
	uint64_t answered_before = heartbeats->answered;
	int64_t begin_ns = wires_now_ns();
	if (!rc)
		rc = run_until(heartbeats, begin_ns + load->seconds * 1000000000, err);
	if (!rc && load->pid)
		rc = process_cpu_ns(load->pid, &cpu_end_ns, err);
	if (rc)
		return rc;
	double seconds = (double)(wires_now_ns() - begin_ns) / 1e9;
	double answered = (double)(heartbeats->answered - answered_before);
	if (answered == 0)
		return err_set(err, ERR_TIMEOUT, "no heartbeat was answered");
	(void)printf("{\"rate\": %.1f, \"server_cpu_us\": %.3f}\n", answered / seconds,
		     (double)(cpu_end_ns - cpu_begin_ns) / 1e3 / answered);
	return 0;
}

int heartbeats_run(struct load *load, struct err *err)
{
	struct heartbeats heartbeats = {.load = load, .senders = calloc(load->count, sizeof(struct sender))};
	if (!heartbeats.senders)
		return err_set(err, ERR_NOMEM, "out of memory");
	int rc = open_all(&heartbeats, err);
	if (!rc)
		rc = measure(&heartbeats, err);
	for (size_t i = 0; i < load->count; i++) {
		wire_close(heartbeats.senders[i].wire);
		buf_done(&heartbeats.senders[i].request);
	}
	free(heartbeats.senders);
	return rc;
}
