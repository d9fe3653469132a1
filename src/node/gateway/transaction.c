/* Owns a connection's MULTI: the commands queued between it and EXEC. Called by commands.c; what they mean is decided there.
 *
 *   NONE --MULTI--> QUEUEING --EXEC--> carried out in order, pops last --> NONE      DISCARD, RESET, the end --> NONE
 *                      +--a command that cannot be--> ABORTED --EXEC--> error, nothing done --> NONE
 *
 * Rule 2: whatever stands in an EXEC is written before its pops are answered, and so belongs to what was open before; what
 * its commands close (LREM) is closed at its end, with all its writes. */
#include "node/gateway/parts.h"

#include "base/cleanup.h"

#include <stdlib.h>
#include <string.h>

void transaction_begin(struct gateway_session *session, struct buf *reply)
{
	if (session->in_multi) {
		answer_error(session, reply, "ERR MULTI calls can not be nested");
		return;
	}
	session->in_multi = true;
	session->multi_aborted = false;
	answer_status(session, reply, "OK");
}

void transaction_discard(struct gateway_session *session)
{
	for (size_t i = 0; i < session->queued_count; i++)
		resp_message_free(session->queued[i]);
	session->queued_count = session->queued_bytes = session->queued_pops = 0;
	session->in_multi = session->multi_aborted = false;
}

static bool make_room(struct gateway_session *session)
{
	if (session->queued_count < session->queued_capacity)
		return true;
	size_t capacity = session->queued_capacity ? 2 * session->queued_capacity : 8;
	struct resp_message **queued = realloc(session->queued, capacity * sizeof(struct resp_message *));
	if (!queued)
		return false;
	session->queued = queued;
	session->queued_capacity = capacity;
	return true;
}

void transaction_queue(struct gateway_session *session, const struct resp_value *message, struct buf *reply)
{
	bool pops = pop_is(message);
	struct resp_message *taken = resp_reader_take(session->reader);
	bool fits = taken && session->queued_count < TRANSACTION_MAX &&
		    session->queued_bytes + taken->size <= TRANSACTION_BYTES + LIMIT_RESULT &&
		    (!pops || session->queued_pops < TRANSACTION_POPS) && make_room(session);
	if (!fits) {
		resp_message_free(taken);
		session->multi_aborted = true;
		answer_error(session, reply, "ERR this MULTI is too large");
		return;
	}
	session->queued[session->queued_count++] = taken;
	session->queued_bytes += taken->size;
	session->queued_pops += pops;
	answer_status(session, reply, "QUEUED");
}

/* One of the queued pops: its place in the answer is kept. An error, or a move between lists, is an answer already. */
static void add_pop(struct gateway_session *session, const struct resp_value *message)
{
	struct pop *pop = &session->pop;
	struct pop_request request;
	struct err err = {0};
	const struct resp_value *source = &message->elements[1];
	if (private_list_find(session->slot, source->text, source->len)) {
		command_run_queued(session, message);
		return;
	}
	if (pop_parse(session->slot, message, &request, &err)) {
		pop_request_done(&request);
		answer_error(session, &pop->around, "%s", err.text);
		return;
	}
	request.blocking = false; /* nothing blocks in a MULTI */
	request.offset = pop->around.len;
	pop->requests[pop->request_count++] = request;
}

static void run_all(struct gateway_session *session)
{
	session->in_exec = true;
	for (size_t i = 0; i < session->queued_count && !session->closed; i++) {
		const struct resp_value *message = session->queued[i]->value;
		if (pop_is(message))
			add_pop(session, message);
		else
			command_run_queued(session, message);
	}
	session->in_exec = false;
	if (session->slot)
		slot_close_items(session->slot, &session->exec_done);
}

/* Without pops the answer is complete. */
static void answer_now(struct gateway_session *session, size_t replies, struct buf *reply)
{
	struct pop *pop = &session->pop;
	answer_array(session, reply, replies);
	if (!session->closed && pop->around.len > 0 && buf_add(reply, pop->around.data, pop->around.len))
		session_close(session);
	buf_done(&pop->around);
}

void transaction_exec(struct gateway_session *session, struct buf *reply)
{
	struct pop *pop = &session->pop;
	if (!session->in_multi) {
		answer_error(session, reply, "ERR EXEC without MULTI");
		return;
	}
	if (session->multi_aborted) {
		transaction_discard(session);
		answer_error(session, reply, "EXECABORT Transaction discarded because of previous errors.");
		return;
	}
	/* A MULTI without pops may be carried out behind a pop that waits: its own requests stay as they are. */
	struct pop_request *requests = NULL;
	if (session->queued_pops > 0) {
		requests = calloc(session->queued_pops, sizeof(*requests));
		if (!requests) {
			transaction_discard(session);
			answer_error(session, reply, "OOM out of memory");
			return;
		}
		pop->requests = requests;
		pop->request_count = 0;
	}
	struct buf waiting = pop->around;
	buf_init(&pop->around, REPLY_MAX);
	size_t replies = session->queued_count;
	run_all(session);
	if (session->closed) {
		buf_done(&waiting);
		return;
	}
	transaction_discard(session);
	if (requests && pop->request_count > 0) {
		pop->in_transaction = true;
		pop->replies = replies;
		pop->blocking = false;
		pop->half_until_ms = 0;
		pop->state = POP_ARRIVED;
		slot_add_pop(session->slot, session);
		return;
	}
	answer_now(session, replies, reply);
	if (session->closed) {
		buf_done(&waiting);
		return;
	}
	pop->around = waiting;
	if (requests) {
		pop->requests = NULL;
		free(requests);
	}
}
