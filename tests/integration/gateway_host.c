/* A gateway with a hub of its own, for tests with real clients and for measuring: one slot on a TCP port of 127.0.0.1, items
 * 0 … N-1 in its queue. It prints the slot's URL, and then obeys lines on standard input:
 *
 *   end exited|failed|stopped   the worker has ended so: prints the next start's URL
 *   report                      prints one line of JSON: what was committed
 *
 * gateway_host N [delay of the hub's answers in ms] */
#include "base/clock.h"
#include "net/listen.h"
#include "node/gateway/gateway.h"
#include "proto/lease_messages.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POSTS = 8, ITEM_TEXT = 24 };

struct host;

struct post {
	struct host *host;
	bool used, waiting;
	uv_timer_t timer;
	char path[256];
	char *body;
	size_t len;
	int64_t until_ms;
	void *context;
	void (*on_done)(void *context, const struct http_result *result);
};

struct host {
	uv_loop_t *loop;
	struct item_pool *pool;
	struct gateway *gateway;
	struct gateway_slot *slot;
	unsigned port;
	uint64_t delay_ms;
	long items, next;
	long *back; /* items that came back */
	size_t back_count;
	long done, failed, returned, duplicates, leases, commits;
	char *books; /* 0: not taken, 1: leased, 2: done */
	json_t *results;
	bool keep_results;
	struct post posts[POSTS];
	uv_pipe_t input;
	char line[256];
	size_t line_len;
};

static void answer(struct post *post, int status, const char *body, size_t len)
{
	const struct http_result result = {.status = status, .body = body, .body_len = len, .text = ""};
	post->used = post->waiting = false;
	free(post->body);
	post->body = NULL;
	post->on_done(post->context, &result);
}

static long number_of(const struct outcome_item *item)
{
	return strtol(item->id + 5, NULL, 10); /* "item-7" */
}

static bool take_lease(struct host *host, struct post *post)
{
	json_t *body = json_loads(post->body, 0, NULL);
	struct lease_request request;
	if (lease_request_parse(body, &request, NULL))
		abort();
	long here = host->items - host->next + (long)host->back_count;
	long count = here < request.max ? here : (long)request.max;
	bool empty = count == 0;
	if (empty && request.wait_s > 0 && clock_monotonic_ms() < post->until_ms) {
		json_decref(body);
		return false;
	}
	struct buf reply;
	buf_init(&reply, 1 << 26);
	const struct lease_answer head = {
		.status = empty ? LEASE_EMPTY : LEASE_EXECUTED, .n = request.n, .version = request.version, .waiting = here - count};
	int rc = lease_answer_begin(&reply, &head, (size_t)count);
	for (long i = 0; i < count && !rc; i++) {
		long which = host->back_count ? host->back[--host->back_count] : host->next++;
		char id[ITEM_TEXT];
		char payload[ITEM_TEXT];
		const struct leased_item item = {.id = id,
						 .id_len = (size_t)snprintf(id, sizeof(id), "item-%ld", which),
						 .payload = payload,
						 .payload_len = (size_t)snprintf(payload, sizeof(payload), "%ld", which)};
		host->books[which] = 1;
		rc = lease_answer_add(&reply, &item);
	}
	if (rc)
		abort();
	host->leases++;
	json_decref(body);
	answer(post, 200, reply.data, reply.len);
	buf_done(&reply);
	return true;
}

static void keep_writes(struct host *host, const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->write_count && host->keep_results; i++) {
		for (size_t k = 2; k < outcome->writes[i].count; k++)
			(void)json_array_append_new(host->results,
						    json_stringn(outcome->writes[i].args[k].bytes, outcome->writes[i].args[k].len));
	}
}

static void give_back(struct host *host, const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->item_count; i++) {
		host->back[host->back_count++] = number_of(&outcome->items[i]);
		host->books[number_of(&outcome->items[i])] = 0;
	}
}

static void take_outcome(struct host *host, const struct outcome *outcome)
{
	switch (outcome->kind) {
	case OUTCOME_DONE:
		for (size_t i = 0; i < outcome->item_count; i++) {
			host->duplicates += host->books[number_of(&outcome->items[i])] == 2;
			host->books[number_of(&outcome->items[i])] = 2;
			host->done++;
		}
		keep_writes(host, outcome);
		break;
	case OUTCOME_WRITE: keep_writes(host, outcome); break;
	case OUTCOME_FAIL:
		host->failed += (long)outcome->item_count;
		give_back(host, outcome);
		break;
	case OUTCOME_RETURN:
		host->returned += (long)outcome->item_count;
		give_back(host, outcome);
		break;
	}
}

static void run_waiting(struct host *host)
{
	for (size_t i = 0; i < POSTS; i++) {
		if (host->posts[i].used && host->posts[i].waiting)
			(void)take_lease(host, &host->posts[i]);
	}
}

static void take_commit(struct host *host, struct post *post)
{
	struct err err = {0};
	struct commit_batch *batch = commit_parse(post->body, post->len, &err);
	if (!batch) {
		(void)fprintf(stderr, "%s\n", err.text);
		abort();
	}
	size_t count = commit_count(batch);
	for (size_t i = 0; i < count; i++)
		take_outcome(host, commit_outcome(batch, i));
	commit_free(batch);
	host->commits++;
	char text[64];
	(void)snprintf(text, sizeof(text), "{\"accepted\":%zu}", count);
	answer(post, 200, text, strlen(text));
	run_waiting(host);
}

static void on_post(uv_timer_t *timer)
{
	struct post *post = timer->data;
	if (strstr(post->path, "/commit"))
		take_commit(post->host, post);
	else if (strstr(post->path, "/inventory"))
		answer(post, 200, "{\"returned\":0}", 14);
	else if (!take_lease(post->host, post))
		post->waiting = true;
	if (post->waiting)
		(void)uv_timer_start(timer, on_post, 1000, 0);
}

static void *start(void *context, const struct hub_post *asked)
{
	struct host *host = context;
	struct post *post = host->posts;
	while (post->used)
		post++;
	post->used = true;
	post->waiting = false;
	(void)snprintf(post->path, sizeof(post->path), "%s", asked->path);
	post->body = malloc(asked->body_len + 1);
	memcpy(post->body, asked->body, asked->body_len);
	post->body[asked->body_len] = '\0';
	post->len = asked->body_len;
	post->context = asked->context;
	post->on_done = asked->on_done;
	post->until_ms = clock_monotonic_ms() + 30 * 1000;
	(void)uv_timer_start(&post->timer, on_post, host->delay_ms, 0);
	return post;
}

static void cancel(void *context, void *call)
{
	struct post *post = call;
	(void)context;
	post->used = post->waiting = false;
	free(post->body);
	post->body = NULL;
	(void)uv_timer_stop(&post->timer);
}

static const struct hub_ops OPS = {.start = start, .cancel = cancel};

static void on_superseded(void *context, bool accepted)
{
	(void)context;
	(void)accepted;
}

static void on_unknown(void *context)
{
	(void)context;
}

static void on_item_timeout(void *context)
{
	(void)context;
}

static void begin_slot(struct host *host)
{
	const struct gateway_slot_options options = {.pool = host->pool,
						     .input_queue = "in",
						     .output_queue = "out",
						     .subject = "slot=0",
						     .context = host,
						     .on_item_timeout = on_item_timeout};
	host->slot = gateway_slot_new(host->gateway, &options);
	char *url = gateway_slot_url(host->slot, "127.0.0.1", host->port);
	(void)printf("%s\n", url);
	(void)fflush(stdout);
	free(url);
}

static void report(struct host *host)
{
	json_t *object = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:O}", "done", (json_int_t)host->done, "failed",
				   (json_int_t)host->failed, "returned", (json_int_t)host->returned, "duplicates",
				   (json_int_t)host->duplicates, "leases", (json_int_t)host->leases, "commits",
				   (json_int_t)host->commits, "results", host->results);
	char *text = json_dumps(object, JSON_COMPACT);
	(void)printf("%s\n", text);
	(void)fflush(stdout);
	free(text);
	json_decref(object);
}

static void obey(struct host *host, const char *line)
{
	struct gateway_end how = {.exit_status = 1};
	if (strcmp(line, "report") == 0) {
		report(host);
		return;
	}
	if (strcmp(line, "end exited") == 0)
		how.kind = GATEWAY_EXITED;
	else if (strcmp(line, "end stopped") == 0)
		how.kind = GATEWAY_STOPPED;
	else
		how.kind = GATEWAY_FAILED;
	gateway_slot_end(host->slot, &how);
	begin_slot(host);
}

static void on_closed_all(uv_handle_t *handle, void *context)
{
	(void)context;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static void finish(struct host *host)
{
	const struct gateway_end how = {.kind = GATEWAY_STOPPED};
	gateway_slot_end(host->slot, &how);
	gateway_close(host->gateway);
	item_pool_close(host->pool);
	for (size_t i = 0; i < POSTS; i++)
		uv_close((uv_handle_t *)&host->posts[i].timer, NULL);
	uv_close((uv_handle_t *)&host->input, NULL);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
	static char bytes[256];
	(void)handle;
	(void)size;
	*buf = uv_buf_init(bytes, sizeof(bytes));
}

static void on_line(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
	struct host *host = stream->data;
	if (len < 0) {
		finish(host);
		return;
	}
	for (ssize_t i = 0; i < len; i++) {
		if (buf->base[i] != '\n') {
			if (host->line_len + 1 < sizeof(host->line))
				host->line[host->line_len++] = buf->base[i];
			continue;
		}
		host->line[host->line_len] = '\0';
		host->line_len = 0;
		obey(host, host->line);
	}
}

int main(int argc, char **argv)
{
	static struct host host;
	host.loop = uv_default_loop();
	host.items = argc > 1 ? strtol(argv[1], NULL, 10) : 0;
	host.delay_ms = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
	host.books = calloc((size_t)host.items + 1, 1);
	host.back = calloc((size_t)host.items + 1, sizeof(long));
	host.results = json_array();
	host.keep_results = host.items <= 100 * 1000;
	for (size_t i = 0; i < POSTS; i++) {
		(void)uv_timer_init(host.loop, &host.posts[i].timer);
		host.posts[i].timer.data = &host.posts[i];
		host.posts[i].host = &host;
	}
	const struct item_pool_options options = {.task_id = "t",
						  .node_id = "n",
						  .epoch = 1,
						  .hub = &OPS,
						  .hub_context = &host,
						  .context = &host,
						  .on_superseded = on_superseded,
						  .on_unknown = on_unknown};
	host.pool = item_pool_new(host.loop, &options);
	host.gateway = gateway_new(host.loop);
	struct err err = {0};
	int fd = listen_open("127.0.0.1:0", &err);
	host.port = fd < 0 ? 0 : listen_port(fd);
	if (fd < 0 || gateway_listen(host.gateway, fd, &err)) {
		(void)fprintf(stderr, "%s\n", err.text);
		return 1;
	}
	begin_slot(&host);
	(void)uv_pipe_init(host.loop, &host.input, 0);
	host.input.data = &host;
	(void)uv_pipe_open(&host.input, 0);
	(void)uv_read_start((uv_stream_t *)&host.input, on_alloc, on_line);
	(void)uv_run(host.loop, UV_RUN_DEFAULT);
	uv_walk(host.loop, on_closed_all, NULL);
	(void)uv_run(host.loop, UV_RUN_DEFAULT);
	json_decref(host.results);
	free(host.books);
	free(host.back);
	return uv_loop_close(host.loop) ? 1 : 0;
}
