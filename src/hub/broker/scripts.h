/* The broker's Lua scripts as the hub calls them, and the building of their arguments. What each script takes and answers
 * stands in docs/protocol.md, "Redis keys and scripts". */
#pragma once

#include "base/err.h"
#include "net/redis_client.h"

#include <stddef.h>
#include <stdint.h>

enum broker_script {
	SCRIPT_TAKE,
	SCRIPT_COMMIT,
	SCRIPT_FAIL,
	SCRIPT_RETURN,
	SCRIPT_INVENTORY,
	SCRIPT_RENEW,
	SCRIPT_REAP,
	SCRIPT_SETTLE,
	SCRIPT_PROGRESS,
	SCRIPT_DEAD_LIST,
	SCRIPT_DEAD_RETRY,
	SCRIPT_DEAD_DROP,
	SCRIPT_PURGE,
	SCRIPT_OUTBOX_NEXT,
	SCRIPT_OUTBOX_APPLY,
	SCRIPT_OUTBOX_DONE,
	SCRIPT_PUSH,
	SCRIPT_RESULTS_READ,
	SCRIPT_RESULTS_TAKE,
	SCRIPT_COUNT,
};

/* Makes the scripts ready, once per process. */
int scripts_init(struct err *err) MUST_CHECK;
void scripts_done(void);

/* A call that is being put together: keys first, then arguments. What is added by reference must live until it is sent. A
 * failed addition shows when the call is sent. */
struct script_call {
	const char **argv; /* NULL where the argument is a number */
	size_t *lens;      /* of a number: its place in `numbers` */
	size_t count, capacity;
	char *numbers;     /* decimal texts, each with its NUL */
	size_t numbers_len, numbers_capacity;
	bool failed;
};

void script_call_init(struct script_call *call);
void script_call_done(struct script_call *call);
void script_call_add(struct script_call *call, const char *bytes, size_t len);
void script_call_add_text(struct script_call *call, const char *text);
void script_call_add_number(struct script_call *call, int64_t number);

/* As redis_client_eval; the call can be done with afterwards. */
int script_call_send(struct script_call *call, struct redis_client *client, enum broker_script script, size_t key_count,
		     redis_on_reply *on_reply, void *context, struct err *err) MUST_CHECK;
