/* What workers send to a gateway: the first byte chooses how the worker ends, and whether it is gridexec, the second how its bytes are cut and whether a
 * second connection sends them too. Whatever they are, the hub can read each outcome, and hears of each item exactly once. */
#include "fuzz.h"

#include "base/log.h"
#include "node/gateway/parts.h"
#include "proto/lease_messages.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { ITEMS = 8 };

struct hub {
	struct hub_post posts[4];
	char *bodies[4];
	bool open[4];
	unsigned given, told[ITEMS];
};

static void *start(void *context, const struct hub_post *post)
{
	struct hub *hub = context;
	for (size_t i = 0; i < 4; i++) {
		if (hub->open[i])
			continue;
		hub->open[i] = true;
		hub->posts[i] = *post;
		hub->posts[i].path = strstr(post->path, "lease") ? "lease" : strstr(post->path, "commit") ? "commit" : "other";
		hub->bodies[i] = malloc(post->body_len);
		memcpy(hub->bodies[i], post->body, post->body_len);
		return &hub->open[i];
	}
	abort();
}

static void cancel(void *context, void *call)
{
	struct hub *hub = context;
	size_t i = (size_t)((bool *)call - hub->open);
	hub->open[i] = false;
	free(hub->bodies[i]);
}

static const struct hub_ops OPS = {.start = start, .cancel = cancel};

static void form_lease(struct hub *hub, const char *body, size_t len, struct buf *reply)
{
	json_t *object = json_loadb(body, len, 0, NULL);
	json_int_t n = json_integer_value(json_object_get(object, "n"));
	json_decref(object);
	size_t count = hub->given + 2 <= ITEMS ? 2 : 0;
	const struct lease_answer answer = {.status = count ? LEASE_EXECUTED : LEASE_EMPTY, .n = n};
	int rc = lease_answer_begin(reply, &answer, count);
	for (; count > 0; count--) {
		char id = (char)('A' + (char)hub->given++);
		const struct leased_item item = {
			.id = &id, .id_len = 1, .payload = "same", .payload_len = 4, .alone = hub->given == 3};
		rc |= lease_answer_add(reply, &item);
	}
	assert(rc == 0);
}

static void form_commit(struct hub *hub, const char *body, size_t len, struct buf *reply)
{
	struct err err = {0};
	struct commit_batch *batch = commit_parse(body, len, &err);
	const struct write_targets targets = {.input_queue = "in", .output_queue = "out"};
	assert(batch);
	for (size_t i = 0; i < commit_count(batch); i++) {
		const struct outcome *outcome = commit_outcome(batch, i);
		for (size_t k = 0; k < outcome->item_count; k++)
			hub->told[outcome->items[k].id[0] - 'A']++;
		for (size_t k = 0; k < outcome->write_count; k++)
			assert(write_command_check(outcome->writes[k].args, outcome->writes[k].count, &targets, &err) == 0);
	}
	assert(buf_printf(reply, "{\"accepted\":%zu}", commit_count(batch)) == 0);
	commit_free(batch);
}

static bool answer_all(struct hub *hub)
{
	bool any = false;
	for (size_t i = 0; i < 4; i++) {
		if (!hub->open[i])
			continue;
		const struct hub_post post = hub->posts[i];
		char *body = hub->bodies[i];
		struct buf reply;
		buf_init(&reply, 1 << 20);
		if (strcmp(post.path, "lease") == 0)
			form_lease(hub, body, post.body_len, &reply);
		else if (strcmp(post.path, "commit") == 0)
			form_commit(hub, body, post.body_len, &reply);
		any |= post.path[0] != 'l' || hub->given < ITEMS;
		hub->open[i] = false;
		const struct http_result result = {.status = 200, .text = "", .body = buf_text(&reply), .body_len = reply.len};
		post.on_done(post.context, &result);
		free(body);
		buf_done(&reply);
	}
	return any;
}

static void on_superseded(void *context, bool accepted)
{
	(void)context;
	(void)accepted;
}

static void on_unknown(void *context)
{
	(void)context;
}

static int64_t now_ms; /* the pool's: moved on, not waited for */

static int64_t now(void)
{
	return now_ms;
}

static void run(uv_loop_t *loop, struct item_pool *pool, struct hub *hub, int *fds)
{
	char bytes[4096];
	for (unsigned i = 0; i < 6; i++) {
		(void)uv_run(loop, UV_RUN_NOWAIT);
		(void)answer_all(hub);
		now_ms += 100;
		item_pool_step(pool);
		for (size_t k = 0; k < 2; k++) {
			while (recv(fds[k], bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
				;
		}
	}
}

static int connect_to(struct gateway *gateway, const struct gateway_slot *slot)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair))
		abort();
	gateway_add_connection(gateway, NULL, NULL, pair[0]);
	char auth[128];
	int len = snprintf(auth, sizeof(auth), "*2\r\n$4\r\nAUTH\r\n$%zu\r\n%s\r\n", strlen(slot->password), slot->password);
	(void)!send(pair[1], auth, (size_t)len, 0);
	return pair[1];
}

static void send_all(struct gateway *gateway, struct gateway_slot *slot, struct item_pool *pool, struct hub *hub,
		     const uint8_t *data, size_t size)
{
	int fds[2] = {connect_to(gateway, slot), connect_to(gateway, slot)};
	size_t piece = 1 + (data[1] >> 1);
	bool both = data[1] & 1;
	run(gateway->loop, pool, hub, fds);
	for (size_t at = 2; at < size; at += piece) {
		size_t len = size - at < piece ? size - at : piece;
		(void)!send(fds[0], data + at, len, MSG_NOSIGNAL);
		if (both)
			(void)!send(fds[1], data + at, len, MSG_NOSIGNAL);
		(void)uv_run(gateway->loop, UV_RUN_NOWAIT);
	}
	run(gateway->loop, pool, hub, fds);
	(void)close(fds[0]);
	run(gateway->loop, pool, hub, fds);
	(void)close(fds[1]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2 || size > 4096)
		return 0;
	log_set_level(LOG_LEVEL_ERROR);
	uv_loop_t loop;
	struct hub hub = {0};
	(void)uv_loop_init(&loop);
	const struct item_pool_options options = {.task_id = "t",
						  .node_id = "n",
						  .epoch = 1,
						  .hub = &OPS,
						  .hub_context = &hub,
						  .now_ms = now,
						  .on_superseded = on_superseded,
						  .on_unknown = on_unknown};
	struct item_pool *pool = item_pool_new(&loop, &options);
	struct gateway *gateway = gateway_new(&loop);
	const struct gateway_slot_options slot_options = {
		.pool = pool, .input_queue = "in", .output_queue = "out", .exec = data[0] & 0x80 ? "{}" : NULL, .subject = "slot=0"};
	struct gateway_slot *slot = gateway_slot_new(gateway, &slot_options);
	send_all(gateway, slot, pool, &hub, data, size);
	const struct gateway_end end = {.kind = (enum gateway_end_kind)(data[0] % 3)};
	gateway_slot_end(slot, &end);
	int none[2] = {-1, -1};
	struct item_pool_status status;
	do {
		run(&loop, pool, &hub, none);
		item_pool_status(pool, &status);
	} while (status.kept > 0);
	assert(status.open == 0);
	for (unsigned i = 0; i < ITEMS; i++)
		assert(hub.told[i] <= 1);
	unsigned told = 0;
	for (unsigned i = 0; i < hub.given; i++)
		told += hub.told[i];
	assert(told + status.unopened == hub.given);
	gateway_close(gateway);
	item_pool_close(pool);
	(void)uv_run(&loop, UV_RUN_DEFAULT);
	int rc = uv_loop_close(&loop);
	assert(rc == 0);
	return 0;
}
