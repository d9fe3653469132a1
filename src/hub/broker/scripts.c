/* Owns the scripts' texts and the form of their calls. Called by the queue's files; never interprets an answer. */
#include "hub/broker/scripts.h"

#include "net/redis_script.h"

#include "lua_scripts.h" /* made by the build */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SCRIPT_TIMEOUT_MS = 30 * 1000, FIRST_ARGS = 32, NUMBER_SIZE = 24, FIRST_NUMBERS = 256 };

struct source {
	const char *name;
	const char *text;
	size_t len;
};

#define SOURCE(name) {#name, embedded_##name##_lua, embedded_##name##_lua_len}

static const struct source SOURCES[SCRIPT_COUNT] = {
	[SCRIPT_TAKE] = SOURCE(take),
	[SCRIPT_COMMIT] = SOURCE(commit),
	[SCRIPT_FAIL] = SOURCE(fail),
	[SCRIPT_RETURN] = SOURCE(return),
	[SCRIPT_INVENTORY] = SOURCE(inventory),
	[SCRIPT_RENEW] = SOURCE(renew),
	[SCRIPT_REAP] = SOURCE(reap),
	[SCRIPT_SETTLE] = SOURCE(settle),
	[SCRIPT_PROGRESS] = SOURCE(progress),
	[SCRIPT_DEAD_LIST] = SOURCE(dead_list),
	[SCRIPT_DEAD_RETRY] = SOURCE(dead_retry),
	[SCRIPT_DEAD_DROP] = SOURCE(dead_drop),
	[SCRIPT_PURGE] = SOURCE(purge),
	[SCRIPT_OUTBOX_NEXT] = SOURCE(outbox_next),
	[SCRIPT_OUTBOX_APPLY] = SOURCE(outbox_apply),
	[SCRIPT_OUTBOX_DONE] = SOURCE(outbox_done),
	[SCRIPT_PUSH] = SOURCE(push),
	[SCRIPT_RESULTS_READ] = SOURCE(results_read),
	[SCRIPT_RESULTS_TAKE] = SOURCE(results_take),
};

static struct redis_script scripts[SCRIPT_COUNT];
static char *texts[SCRIPT_COUNT];

int scripts_init(struct err *err)
{
	for (size_t i = 0; i < SCRIPT_COUNT; i++) {
		size_t len = embedded_common_lua_len + SOURCES[i].len;
		texts[i] = malloc(len + 1);
		if (!texts[i])
			return err_set(err, ERR_NOMEM, "out of memory");
		memcpy(texts[i], embedded_common_lua, embedded_common_lua_len);
		memcpy(texts[i] + embedded_common_lua_len, SOURCES[i].text, SOURCES[i].len + 1);
		int rc = redis_script_init(&scripts[i], SOURCES[i].name, texts[i], len, err);
		if (rc)
			return rc;
	}
	return 0;
}

void scripts_done(void)
{
	for (size_t i = 0; i < SCRIPT_COUNT; i++) {
		free(texts[i]);
		texts[i] = NULL;
	}
}

/* ---- calls ---- */

void script_call_init(struct script_call *call)
{
	*call = (struct script_call){0};
}

void script_call_done(struct script_call *call)
{
	free(call->argv);
	free(call->lens);
	free(call->numbers);
	*call = (struct script_call){0};
}

static bool reserve(struct script_call *call)
{
	if (call->count < call->capacity)
		return true;
	size_t capacity = call->capacity ? 2 * call->capacity : FIRST_ARGS;
	const char **argv = realloc(call->argv, capacity * sizeof(*argv));
	if (argv)
		call->argv = argv;
	size_t *lens = realloc(call->lens, capacity * sizeof(*lens));
	if (lens)
		call->lens = lens;
	if (!argv || !lens)
		return false;
	call->capacity = capacity;
	return true;
}

void script_call_add(struct script_call *call, const char *bytes, size_t len)
{
	if (!reserve(call)) {
		call->failed = true;
		return;
	}
	call->argv[call->count] = bytes;
	call->lens[call->count++] = len;
}

void script_call_add_text(struct script_call *call, const char *text)
{
	script_call_add(call, text, strlen(text));
}

static bool reserve_number(struct script_call *call)
{
	if (call->numbers_len + NUMBER_SIZE <= call->numbers_capacity)
		return true;
	size_t capacity = call->numbers_capacity ? 2 * call->numbers_capacity : FIRST_NUMBERS;
	char *numbers = realloc(call->numbers, capacity);
	if (!numbers)
		return false;
	call->numbers = numbers;
	call->numbers_capacity = capacity;
	return true;
}

void script_call_add_number(struct script_call *call, int64_t number)
{
	if (!reserve_number(call)) {
		call->failed = true;
		return;
	}
	int len = snprintf(call->numbers + call->numbers_len, NUMBER_SIZE, "%lld", (long long)number);
	script_call_add(call, NULL, call->numbers_len);
	call->numbers_len += (size_t)len + 1;
}

int script_call_send(struct script_call *call, struct redis_client *client, enum broker_script script, size_t key_count,
		     redis_on_reply *on_reply, void *context, struct err *err)
{
	if (call->failed)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < call->count; i++) {
		if (call->argv[i])
			continue;
		call->argv[i] = call->numbers + call->lens[i];
		call->lens[i] = strlen(call->argv[i]);
	}
	return redis_client_eval(client, &scripts[script], key_count, call->count, call->argv, call->lens, SCRIPT_TIMEOUT_MS,
				 on_reply, context, err);
}
