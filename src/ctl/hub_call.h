/* Calls of the hub's API: one at a time, waited for, or several that run beside each other on ctl's loop.
 *
 *   CALLING --an answer--> on_answer
 *     ^  |
 *     |  +--nobody answers, or a proxy says that nobody does--> PAUSED, for a growing while
 *     +----------------------------------------------------------+  (and on_answer with ERR_UNREACHABLE after ctl->retry_for_ms)
 *
 * A call that must not happen twice (`once`) is repeated only while the hub cannot have seen it. An answer that is an error
 * comes as a struct err with one line for people, which says what to do; ctl_fail makes the exit status of it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "ctl/ctl.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub_request {
	const char *method;       /* "GET", "POST", "DELETE" */
	const char *path;         /* "/api/tasks", encoded (hub_path); copied */
	const char *body;         /* copied; NULL without one */
	size_t body_len;
	const char *content_type; /* of the body; NULL: application/json */
	const char *accept;       /* NULL: anything */
	int64_t timeout_ms;       /* of one try; 0: 30 s. For a call that the hub holds: its wait, and some seconds more */
	size_t max_answer;        /* in bytes; 0: 256 MiB */
	bool raw;                 /* a good answer's body is no JSON */
	bool once;                /* see above */
	bool patient;             /* repeated as well while the hub says that Redis is away */
	const char *needs;        /* what a hub that does not know the path is too old for: "pausing tasks"; NULL: nothing */
};

/* The bytes and the JSON live as long as the callback runs. */
struct hub_answer {
	const struct err *err; /* NULL: a good answer (2xx) */
	int status;            /* HTTP; 0 without an answer */
	const char *code;      /* the hub's own code of an error: "bad_state", "gap"; "" without one */
	json_t *json;          /* the body, also of an error; NULL where it is none. Borrowed */
	const char *body;      /* NUL-terminated */
	size_t body_len;
};

struct hub_call;

typedef void hub_on_answer(void *context, const struct hub_answer *answer);

/* on_answer comes once, never from inside; the call is gone when it returns, and it may start others. NULL with err set when
 * it cannot even begin. */
struct hub_call *hub_call_start(struct ctl *ctl, const struct hub_request *request, hub_on_answer *on_answer, void *context,
				struct err *err);

/* No callback comes any more. NULL is ignored. */
void hub_call_cancel(struct hub_call *call);

/* The same, waited for. */
struct hub_reply {
	int status;
	char code[64];
	json_t *json;    /* owned; NULL where it is none */
	struct buf body; /* of a raw answer */
};

/* 0, or the code of err. ERR_CANCELLED when ctl->interrupted. hub_reply_done in both cases. */
int hub_ask(struct ctl *ctl, const struct hub_request *request, struct hub_reply *reply, struct err *err) MUST_CHECK;
void hub_reply_done(struct hub_reply *reply);

/* GET of a JSON answer; the reference is the caller's. */
int hub_get(struct ctl *ctl, const char *path, const char *needs, json_t **into, struct err *err) MUST_CHECK;

/* POST, once, with this JSON as the body (taken over; NULL: without one). `into` may be NULL, for who does not care. */
int hub_post(struct ctl *ctl, const char *path, json_t *body, const char *needs, json_t **into, struct err *err) MUST_CHECK;

/* before, the name percent-encoded, after: hub_path("/api/tasks/", name, "/pause"). free() it; NULL only without memory. */
char *hub_path(const char *before, const char *name, const char *after) MUST_CHECK;
