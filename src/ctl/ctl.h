/* gridctl's frame: what every command has in its hands. Made by main.c before a command runs. */
#pragma once

#include "base/err.h"
#include "ctl/command.h"
#include "ctl/ctl_config.h"
#include "ctl/terminal.h"
#include "net/http_client.h"
#include "net/http_trust.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

enum { RETRY_FOR_MS = 10 * 1000 };

/* For a command that has begun its work, and waits for the hub until somebody ends it. */
#define RETRY_FOR_EVER_MS (INT64_C(1) << 60)

struct ctl {
	uv_loop_t loop;
	struct http_client *http;    /* NULL until ctl_connect */
	struct http_trust trust;
	char *authorization;         /* the header with the token; NULL without one */
	struct ctl_globals globals;
	struct ctl_config config;
	struct terminal out;         /* standard output */
	struct terminal err;         /* standard error */
	int64_t retry_for_ms;        /* how long an unreachable hub is tried before a call fails */
	bool interrupted;            /* a command sets it where it minds Ctrl-C itself: waiting ends with ERR_CANCELLED */
	bool hub_trouble;            /* it was said that the hub does not answer; hub_call.c's */

	/* Where messages go; NULL: standard error, as "gridctl: …". For a command that draws there itself. */
	void (*on_message)(void *context, const char *text);
	void *message_context;
};

/* The loop, the terminals. 0 or an exit status, said already. */
int ctl_open(struct ctl *ctl) MUST_CHECK;
void ctl_close(struct ctl *ctl);

/* Reads the configuration and gets ready to call the hub; what commands that are `offline` do by themselves, if they need it.
 * 0 or an exit status, said already unless `silent`. */
int ctl_load(struct ctl *ctl, bool silent) MUST_CHECK;
int ctl_connect(struct ctl *ctl, bool silent) MUST_CHECK;

/* Runs the loop until *done, or until ctl->interrupted: ERR_CANCELLED. */
int ctl_wait(struct ctl *ctl, const bool *done, struct err *err) MUST_CHECK;

/* Lines on standard error: what went wrong; what is good to know (not with -q); details (with -v). */
void ctl_error(struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_note(struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));
void ctl_detail(struct ctl *ctl, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Says the error, and returns its exit status. */
int ctl_fail(struct ctl *ctl, const struct err *err);
int ctl_exit_status(const struct err *err);

/* The command line is wrong: says so, and where help is. Returns CTL_USAGE. */
int ctl_usage(struct ctl *ctl, const struct command *command, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* A JSON value on a line of its own (over several on a terminal). Takes the value over. An exit status. */
int ctl_print_json(struct ctl *ctl, json_t *value) MUST_CHECK;

/* Whether standard output still takes what is written; flushes it. A reader that went away ends the program as SIGPIPE does,
 * another failure is said. An exit status. */
int ctl_flush(struct ctl *ctl);
