/* Owns the commands that gridexec speaks in tasks with exec: IDM EXEC, IDM NEXT, IDM FAIL. Called by commands.c; what closes
 * and opens is decided in slot.c, as for any pop.
 *
 *   IDM EXEC                                  what to run, as JSON text
 *   IDM NEXT <max>                            closes what is open; up to max items: [payload, failures, payload, failures, …]
 *   IDM FAIL <reason> <exit status> <tail>    what is open has failed, each time charged; what was written since is dropped
 *
 * gridexec does one thing after the other on one connection, and outlives the failures of its commands: so a failure is told,
 * and not seen by the end of a process. */
#include "node/gateway/parts.h"

#include "base/cleanup.h"
#include "base/log.h"

#include <stdlib.h>
#include <string.h>

enum { REASON_MAX = 1024, TAIL_MAX = 64 * 1024, EXIT_STATUS_MAX = 255, NO_EXIT_STATUS = -1 };

static void run_exec(struct gateway_session *session, const struct resp_value *args, struct buf *reply)
{
	const char *exec = session->slot->exec;
	(void)args;
	answer_bulk(session, reply, exec, strlen(exec));
}

static void run_next(struct gateway_session *session, const struct resp_value *args, struct buf *reply)
{
	struct pop_request request;
	struct err err = {0};
	if (pop_parse_next(&args[0], &request, &err))
		answer_error(session, reply, "%s", err.text);
	else
		pop_begin(session, &request);
}

/* The end of it, as text that a NUL ends; one in the middle becomes a space. NULL without memory. */
static char *copy_end(const struct resp_value *value, size_t max)
{
	size_t len = value->len < max ? value->len : max;
	char *text = malloc(len + 1);
	if (!text)
		return NULL;
	memcpy(text, value->text + (value->len - len), len);
	for (char *nul = text; (nul = memchr(nul, '\0', len - (size_t)(nul - text)));)
		*nul = ' ';
	text[len] = '\0';
	return text;
}

static bool read_status(const struct resp_value *value, int *status)
{
	char *end = NULL;
	long number = value->len > 0 && value->len < 8 ? strtol(value->text, &end, 10) : NO_EXIT_STATUS - 1;
	*status = (int)number;
	return end == value->text + value->len && number >= NO_EXIT_STATUS && number <= EXIT_STATUS_MAX;
}

static void run_fail(struct gateway_session *session, const struct resp_value *args, struct buf *reply)
{
	AUTO_FREE char *reason = copy_end(&args[0], REASON_MAX);
	AUTO_FREE char *tail = copy_end(&args[2], TAIL_MAX);
	struct gateway_end end = {.kind = GATEWAY_FAILED, .log_tail = tail};
	if (!reason || !tail) {
		answer_error(session, reply, "OOM out of memory");
	} else if (!read_status(&args[1], &end.exit_status)) {
		answer_error(session, reply, "ERR an exit status is from %d (none) to %d", NO_EXIT_STATUS, EXIT_STATUS_MAX);
	} else {
		log_debug(session->slot->subject, "%zu of its items failed: %s", session->slot->open.count, reason);
		slot_fail_open(session->slot, session, reason, &end);
		answer_status(session, reply, "OK");
	}
}

static const struct {
	const char *name;
	size_t args;
	void (*run)(struct gateway_session *session, const struct resp_value *args, struct buf *reply);
} WORDS[] = {{"EXEC", 0, run_exec}, {"NEXT", 1, run_next}, {"FAIL", 3, run_fail}};

void exec_run(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	if (!session->slot->exec) {
		answer_error(session, reply,
			     "ERR 'IDM' is what gridexec says in tasks with \"exec\": this task's worker pops from the input queue and "
			     "writes to the output queue");
		return;
	}
	if (session->in_multi) {
		session->multi_aborted = true;
		answer_error(session, reply, "ERR 'IDM' is not for a MULTI");
		return;
	}
	for (size_t i = 0; i < sizeof(WORDS) / sizeof(WORDS[0]); i++) {
		if (!resp_is_nocase(&message->elements[1], WORDS[i].name))
			continue;
		if (message->count == 2 + WORDS[i].args)
			WORDS[i].run(session, message->elements + 2, reply);
		else
			answer_error(session, reply, "ERR wrong number of arguments for 'IDM %s' command", WORDS[i].name);
		return;
	}
	answer_error(session, reply, "ERR known are IDM EXEC, IDM NEXT and IDM FAIL");
}
