#include "scripted_hub.h"

#include "../support.h"
#include "base/buf.h"
#include "base/cleanup.h"

#include <stdio.h>
#include <string.h>

static void *start(void *context, const struct hub_post *post)
{
	struct scripted_hub *hub = context;
	if (hub->refuses_start)
		return NULL;
	char *body = malloc(post->body_len + 1);
	if (!body)
		return NULL;
	struct taken_post *taken = NULL;
	for (size_t i = 0; i < HUB_POSTS && !taken; i++)
		taken = hub->posts[i].open ? NULL : &hub->posts[i];
	assert_non_null(taken);
	free(taken->body);
	*taken = (struct taken_post){.open = true, .body_len = post->body_len, .context = post->context, .on_done = post->on_done};
	(void)snprintf(taken->path, sizeof(taken->path), "%s", post->path);
	taken->body = body;
	memcpy(taken->body, post->body, post->body_len);
	taken->body[post->body_len] = '\0';
	hub->started++;
	hub->leases += strstr(post->path, "/lease") != NULL;
	hub->commits += strstr(post->path, "/commit") != NULL;
	hub->inventories += strstr(post->path, "/inventory") != NULL;
	return taken;
}

static void cancel(void *context, void *call)
{
	struct scripted_hub *hub = context;
	struct taken_post *taken = call;
	assert_true(taken->open);
	taken->open = false;
	hub->cancelled++;
}

const struct hub_ops SCRIPTED_HUB = {.start = start, .cancel = cancel};

void hub_done(struct scripted_hub *hub)
{
	for (size_t i = 0; i < HUB_POSTS; i++)
		free(hub->posts[i].body);
	for (size_t i = hub->first; i < hub->last; i++)
		free(hub->queue[i]);
	*hub = (struct scripted_hub){0};
}

struct taken_post *hub_open(struct scripted_hub *hub, const char *what)
{
	for (size_t i = 0; i < HUB_POSTS; i++) {
		if (hub->posts[i].open && strstr(hub->posts[i].path, what))
			return &hub->posts[i];
	}
	return NULL;
}

int64_t post_number(const struct taken_post *post, const char *name)
{
	AUTO_JSON json_t *body = json_loads(post->body, 0, NULL);
	return json_integer_value(json_object_get(body, name));
}

void hub_answer(struct taken_post *post, int status, const char *body, size_t len)
{
	assert_non_null(post);
	assert_true(post->open);
	post->open = false;
	const struct http_result result = {.status = status, .body = body, .body_len = len, .text = ""};
	post->on_done(post->context, &result);
}

void hub_lose(struct taken_post *post)
{
	assert_non_null(post);
	post->open = false;
	const struct http_result result = {.error = ERR_UNREACHABLE, .text = "nobody answers", .body = ""};
	post->on_done(post->context, &result);
}

static void begin_answer(struct buf *body, const struct taken_post *post, enum lease_status status, int64_t waiting,
			 size_t items)
{
	const struct lease_answer answer = {
		.status = status, .n = post_number(post, "n"), .version = post_number(post, "version"), .waiting = waiting};
	buf_init(body, 1 << 26);
	assert_int_equal(lease_answer_begin(body, &answer, items), 0);
}

void hub_answer_lease(struct taken_post *post, enum lease_status status, int64_t waiting, const char *const *items)
{
	assert_non_null(post);
	size_t count = 0;
	while (items && items[count])
		count++;
	struct buf body;
	begin_answer(&body, post, status, waiting, count);
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(items[i], '=');
		size_t len = strlen(equals + 1);
		bool alone = len > 0 && equals[len] == '!';
		const struct leased_item item = {.id = items[i],
						 .id_len = (size_t)(equals - items[i]),
						 .payload = equals + 1,
						 .payload_len = len - alone,
						 .alone = alone};
		assert_int_equal(lease_answer_add(&body, &item), 0);
	}
	hub_answer(post, 200, body.data, body.len);
	buf_done(&body);
}

/* ---- batches in words ---- */

__attribute__((format(printf, 3, 4)))
static void add(char *into, size_t size, const char *format, ...)
{
	size_t len = strlen(into);
	va_list args;
	va_start(args, format);
	(void)vsnprintf(into + len, size - len, format, args);
	va_end(args);
}

static void describe_outcome(const struct outcome *outcome, char *into, size_t size)
{
	static const char *const NAMES[] = {
		[OUTCOME_DONE] = "done", [OUTCOME_WRITE] = "write", [OUTCOME_FAIL] = "fail", [OUTCOME_RETURN] = "return"};
	add(into, size, "%s", NAMES[outcome->kind]);
	for (size_t i = 0; i < outcome->item_count; i++)
		add(into, size, "%s%.*s", i ? "," : " ", (int)outcome->items[i].id_len, outcome->items[i].id);
	if (outcome->kind == OUTCOME_FAIL) {
		AUTO_JSON json_t *error = json_loadb(outcome->error, outcome->error_len, 0, NULL);
		add(into, size, "%s %s", outcome->together ? " together" : "",
		    json_string_value(json_object_get(error, "reason")));
	}
	for (size_t i = 0; i < outcome->write_count; i++) {
		for (size_t k = 0; k < outcome->writes[i].count; k++)
			add(into, size, "%s%.*s", k ? " " : i ? "; " : ": ", (int)(outcome->writes[i].args[k].len > 64 ? 64 : outcome->writes[i].args[k].len),
			    outcome->writes[i].args[k].bytes);
	}
	add(into, size, "\n");
}

void hub_describe(const struct taken_post *post, char *into, size_t size)
{
	struct err err = {0};
	struct commit_batch *batch = commit_parse(post->body, post->body_len, &err);
	if (!batch)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < commit_count(batch); i++)
		describe_outcome(commit_outcome(batch, i), into, size);
	commit_free(batch);
}

/* ---- the small hub ---- */

void hub_push(struct scripted_hub *hub, const char *payload)
{
	assert_true(hub->last < HUB_ITEMS);
	hub->queue[hub->last++] = strdup(payload);
}

static bool run_lease(struct scripted_hub *hub)
{
	struct taken_post *post = hub_open(hub, "/lease");
	if (!post)
		return false;
	size_t here = hub->last - hub->first;
	if (here == 0 && post_number(post, "wait") > 0)
		return false;
	if (here == 0) {
		hub_answer_lease(post, LEASE_EMPTY, 0, NULL);
		return true;
	}
	size_t max = (size_t)post_number(post, "max");
	size_t count = here < max ? here : max;
	char names[HUB_ITEMS / 8][64];
	const char *items[HUB_ITEMS / 8 + 1] = {NULL};
	count = count < HUB_ITEMS / 8 ? count : HUB_ITEMS / 8;
	for (size_t i = 0; i < count; i++) {
		char *payload = hub->queue[hub->first++];
		(void)snprintf(names[i], sizeof(names[i]), "%.20s=%.40s", payload, payload);
		items[i] = names[i];
		free(payload);
	}
	hub_answer_lease(post, LEASE_EXECUTED, (int64_t)(hub->last - hub->first), items);
	return true;
}

bool hub_run(struct scripted_hub *hub)
{
	bool any = run_lease(hub);
	struct taken_post *post = hub_open(hub, "/commit");
	if (post) {
		struct err err = {0};
		struct commit_batch *batch = commit_parse(post->body, post->body_len, &err);
		char text[64];
		assert_non_null(batch);
		(void)snprintf(text, sizeof(text), "{\"accepted\":%zu}", commit_count(batch));
		commit_free(batch);
		hub_describe(post, hub->log, sizeof(hub->log));
		hub_answer(post, 200, text, strlen(text));
		any = true;
	}
	post = hub_open(hub, "/inventory");
	if (post) {
		hub_answer(post, 200, "{\"returned\":0}", strlen("{\"returned\":0}"));
		any = true;
	}
	return any;
}
