/* Owns a crowd of nodes that hold their task call, as agents do. Called by load.c. Measures the server's memory while all
 * are held, then how long a task switch takes to reach them.
 *
 *   a node: opening --> asks without version, learns it --> asks with it: HELD --a new version--> asks with that: HELD
 *                                                            ^                  |
 *                                                            +--the same (60 s)-+
 *
 * "All are held" is known by this: each has sent its call, and then for SETTLE_NS nothing was answered. */
#include "load.h"
#include "process.h"
#include "request.h"

#include "base/cleanup.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { REQUEST_MAX = 1024, OPENING_MAX = 64, WAIT_S = 60, SETTLE_NS = 500 * 1000 * 1000 };

struct crowd;

struct member {
	struct crowd *crowd;
	struct wire *wire;
	const char *id;
	struct buf request;
	int64_t version; /* of the task that it knows; 0: none yet */
};

struct crowd {
	struct load *load;
	struct member *members; /* load->count */
	size_t opening;         /* connecting, or without a version yet */
	size_t knowing;         /* know crowd->version */
	int64_t version;        /* the newest that anyone was told */
	int64_t last_news_ns;   /* when somebody was told a version new to it */
	int64_t last_answer_ns;

	struct wire *control;
	struct buf switch_request;
	bool control_open;
	unsigned switches_answered;
	struct err failure;
};

static void fail(struct crowd *crowd, const char *what, int status, const char *body)
{
	(void)err_set(&crowd->failure, ERR_PROTOCOL, "%s was answered with %d: %.200s", what, status, body);
}

/* ---- members ---- */

static void ask(struct member *member)
{
	char path[256];
	char version[64] = "";
	if (member->version)
		(void)snprintf(version, sizeof(version), "&version=%" PRId64, member->version);
	(void)snprintf(path, sizeof(path), "/gridnode/task?platform=linux/amd64&node_id=%s&wait=%d%s", member->id, WAIT_S,
		       version);
	if (request_write(&member->request, "GET", path, member->crowd->load->token, NULL))
		(void)err_set(&member->crowd->failure, ERR_NOMEM, "no memory for a request, or the token is too long");
	else
		wire_send(member->wire, member->request.data, member->request.len);
}

static void on_member_open(struct wire *wire, void *owner)
{
	(void)wire;
	ask(owner);
}

static void learn(struct member *member, int64_t version)
{
	struct crowd *crowd = member->crowd;
	if (version == member->version)
		return;
	if (!member->version)
		crowd->opening--;
	if (version > crowd->version) {
		crowd->version = version;
		crowd->knowing = 0;
	}
	if (version == crowd->version)
		crowd->knowing++;
	member->version = version;
	crowd->last_news_ns = crowd->last_answer_ns;
}

static void on_member_answer(struct wire *wire, void *owner, int status, const char *body)
{
	(void)wire;
	struct member *member = owner;
	int64_t version = 0;
	if (status != 200 || sscanf(body, "{\"version\":%" SCNd64, &version) != 1) {
		fail(member->crowd, "a task call", status, body);
		return;
	}
	member->crowd->last_answer_ns = wires_now_ns();
	learn(member, version);
	ask(member);
}

static void on_member_lost(struct wire *wire, void *owner, const char *why)
{
	(void)wire;
	const struct member *member = owner;
	(void)err_set(&member->crowd->failure, ERR_UNREACHABLE, "node %s: %s", member->id, why);
}

/* ---- the one who switches ---- */

static void on_control_open(struct wire *wire, void *owner)
{
	(void)wire;
	struct crowd *crowd = owner;
	crowd->control_open = true;
}

static void on_control_answer(struct wire *wire, void *owner, int status, const char *body)
{
	(void)wire;
	struct crowd *crowd = owner;
	if (status == 200)
		crowd->switches_answered++;
	else
		fail(crowd, "POST /api/tasks/next", status, body);
}

static void on_control_lost(struct wire *wire, void *owner, const char *why)
{
	(void)wire;
	struct crowd *crowd = owner;
	(void)err_set(&crowd->failure, ERR_UNREACHABLE, "%s", why);
}

/* ---- steps ---- */

static int turn(struct crowd *crowd, int timeout_ms, struct err *err)
{
	wires_turn(crowd->load->wires, timeout_ms);
	if (crowd->failure.code) {
		*err = crowd->failure;
		return (int)err->code;
	}
	return load_in_time(crowd->load, err);
}

static int open_members(struct crowd *crowd, struct err *err)
{
	static const struct wire_events EVENTS = {
		.on_open = on_member_open, .on_answer = on_member_answer, .on_lost = on_member_lost};
	int rc = 0;
	for (size_t i = 0; i < crowd->load->count && !rc; i++) {
		struct member *member = &crowd->members[i];
		member->crowd = crowd;
		member->id = crowd->load->ids[i];
		buf_init(&member->request, REQUEST_MAX);
		member->wire = wire_open(crowd->load->wires, &EVENTS, member, err);
		rc = member->wire ? 0 : ERR_IO;
		crowd->opening++;
		while (!rc && crowd->opening >= OPENING_MAX)
			rc = turn(crowd, 1000, err);
	}
	while (!rc && crowd->opening > 0)
		rc = turn(crowd, 1000, err);
	return rc;
}

static int open_control(struct crowd *crowd, struct err *err)
{
	static const struct wire_events EVENTS = {
		.on_open = on_control_open, .on_answer = on_control_answer, .on_lost = on_control_lost};
	if (request_write(&crowd->switch_request, "POST", "/api/tasks/next", crowd->load->token, NULL))
		return err_set(err, ERR_TOO_BIG, "the token is too long");
	crowd->control = wire_open(crowd->load->wires, &EVENTS, crowd, err);
	int rc = crowd->control ? 0 : ERR_IO;
	while (!rc && !crowd->control_open)
		rc = turn(crowd, 1000, err);
	return rc;
}

static int wait_until_all_are_held(struct crowd *crowd, struct err *err)
{
	int rc = 0;
	while (!rc && wires_now_ns() - crowd->last_answer_ns < SETTLE_NS)
		rc = turn(crowd, 50, err);
	return rc;
}

/* One switch: milliseconds from the request to the last one's answer. */
static int time_switch(struct crowd *crowd, double *took_ms, struct err *err)
{
	int rc = wait_until_all_are_held(crowd, err);
	if (rc)
		return rc;
	unsigned answered_before = crowd->switches_answered;
	int64_t version_before = crowd->version;
	int64_t begin_ns = wires_now_ns();
	wire_send(crowd->control, crowd->switch_request.data, crowd->switch_request.len);
	while (!rc && (crowd->switches_answered == answered_before || crowd->version == version_before ||
		       crowd->knowing < crowd->load->count))
		rc = turn(crowd, 1000, err);
	*took_ms = (double)(crowd->last_news_ns - begin_ns) / 1e6;
	return rc;
}

static int measure(struct crowd *crowd, struct err *err)
{
	struct process_memory memory = {0};
	int rc = wait_until_all_are_held(crowd, err);
	if (!rc && crowd->load->pid)
		rc = process_memory_read(crowd->load->pid, &memory, err);
	if (rc)
		return rc;
	(void)printf("{\"held\": %zu, \"resident\": %" PRId64 ", \"private_dirty\": %" PRId64 ", \"switches_ms\": [",
		     crowd->load->count, memory.resident_bytes, memory.private_dirty_bytes);
	for (size_t i = 0; i < crowd->load->switches && !rc; i++) {
		double took_ms = 0;
		rc = time_switch(crowd, &took_ms, err);
		(void)printf("%s%.2f", i ? ", " : "", took_ms);
	}
	(void)puts("]}");
	return rc;
}

int crowd_run(struct load *load, struct err *err)
{
	struct crowd crowd = {.load = load, .members = calloc(load->count, sizeof(struct member))};
	if (!crowd.members)
		return err_set(err, ERR_NOMEM, "out of memory");
	buf_init(&crowd.switch_request, REQUEST_MAX);
	int rc = open_members(&crowd, err);
	if (!rc)
		rc = open_control(&crowd, err);
	if (!rc)
		rc = measure(&crowd, err);
	for (size_t i = 0; i < load->count; i++) {
		wire_close(crowd.members[i].wire);
		buf_done(&crowd.members[i].request);
	}
	wire_close(crowd.control);
	buf_done(&crowd.switch_request);
	free(crowd.members);
	return rc;
}
