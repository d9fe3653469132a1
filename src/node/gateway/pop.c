/* Owns the reading of pops and the forming of their answers. Called by commands.c and slot.c; never decides what is open. */
#include "node/gateway/parts.h"

#include "base/clock.h"

#include <assert.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NUMBER_MAX = 32 };

static bool is_input(const struct gateway_slot *slot, const struct resp_value *key)
{
	return key->len == slot->input_len && memcmp(key->text, slot->input_queue, key->len) == 0;
}

/* Seconds, as Redis reads them: "0", "1", "0.5". */
static int read_timeout(const struct resp_value *value, int64_t *timeout_ms, struct err *err)
{
	char *end = NULL;
	double seconds = value->len > 0 && value->len < NUMBER_MAX ? strtod(value->text, &end) : -1;
	if (!end || end != value->text + value->len || !isfinite(seconds))
		return err_set(err, ERR_INVALID, "ERR timeout is not a float or out of range");
	if (seconds < 0)
		return err_set(err, ERR_INVALID, "ERR timeout is negative");
	double ms = ceil(seconds * 1000);
	*timeout_ms = ms > (double)INT32_MAX * 1000 ? (int64_t)INT32_MAX * 1000 : (int64_t)ms;
	return 0;
}

static int read_count(const struct resp_value *value, size_t *count, struct err *err)
{
	char *end = NULL;
	errno = 0;
	long long number = value->len > 0 && value->len < NUMBER_MAX ? strtoll(value->text, &end, 10) : -1;
	if (!end || end != value->text + value->len || errno || number < 0)
		return err_set(err, ERR_INVALID, "ERR value is out of range, must be positive");
	*count = number > LIMIT_LEASE_ITEMS ? LIMIT_LEASE_ITEMS : (size_t)number;
	return 0;
}

/* Whether the input queue is among these keys. A list of the worker's own that holds items is none to pop from. */
static int read_keys(const struct gateway_slot *slot, const struct resp_value *keys, size_t count,
		     struct pop_request *request, struct err *err)
{
	request->elsewhere = true;
	for (size_t i = 0; i < count; i++) {
		if (is_input(slot, &keys[i]))
			request->elsewhere = false;
		else if (private_list_find(slot, keys[i].text, keys[i].len))
			return err_set(err, ERR_INVALID,
				       "ERR items leave a list of the worker's own by LREM or LMOVE, not by a pop; a task with "
				       "\"delivery\": \"direct\" talks to Redis itself");
	}
	return 0;
}

/* BRPOP BLPOP key … timeout */
static int parse_blocking(const struct gateway_slot *slot, const struct resp_value *message, struct pop_request *request,
			  struct err *err)
{
	request->form = POP_PAIR;
	request->blocking = true;
	int rc = read_timeout(&message->elements[message->count - 1], &request->timeout_ms, err);
	return rc ? rc : read_keys(slot, message->elements + 1, message->count - 2, request, err);
}

/* RPOP LPOP key [count] */
static int parse_plain(const struct gateway_slot *slot, const struct resp_value *message, struct pop_request *request,
		       struct err *err)
{
	request->form = message->count == 3 ? POP_MANY : POP_ONE;
	int rc = message->count == 3 ? read_count(&message->elements[2], &request->max, err) : 0;
	return rc ? rc : read_keys(slot, message->elements + 1, 1, request, err);
}

/* LMPOP numkeys key … LEFT|RIGHT [COUNT count], BLMPOP with a timeout before */
static int parse_multiple(const struct gateway_slot *slot, const struct resp_value *message, struct pop_request *request,
			  struct err *err)
{
	const struct resp_value *args = message->elements + 1;
	size_t left = message->count - 1;
	request->form = POP_KEYED;
	request->blocking = (message->elements[0].text[0] & ~0x20) == 'B';
	int rc = request->blocking ? read_timeout(args, &request->timeout_ms, err) : 0;
	args += request->blocking;
	left -= request->blocking;
	size_t keys = 0;
	if (!rc)
		rc = read_count(args, &keys, err);
	if (rc)
		return rc;
	bool counted = left == keys + 4;
	if (keys == 0 || (left != keys + 2 && !counted) || (counted && !resp_is_nocase(&args[keys + 2], "COUNT")))
		return err_set(err, ERR_INVALID, "ERR syntax error");
	if (counted)
		rc = read_count(&args[keys + 3], &request->max, err);
	if (!rc && counted && request->max == 0)
		rc = err_set(err, ERR_INVALID, "ERR count should be greater than 0");
	return rc ? rc : read_keys(slot, args + 1, keys, request, err);
}

int pop_parse_next(const struct resp_value *max, struct pop_request *request, struct err *err)
{
	*request = (struct pop_request){.form = POP_NEXT, .blocking = true};
	int rc = read_count(max, &request->max, err);
	return rc || request->max > 0 ? rc : err_set(err, ERR_INVALID, "ERR count should be greater than 0");
}

/* LMOVE BLMOVE source destination from to [timeout], RPOPLPUSH BRPOPLPUSH source destination [timeout] */
static int parse_move(const struct gateway_slot *slot, const struct resp_value *message, struct pop_request *request,
		      struct err *err)
{
	const struct resp_value *args = message->elements;
	bool sides = message->count >= 5;
	const struct write_arg as_write[] = {{"LPUSH", 5}, {args[2].text, args[2].len}, {"", 0}};
	request->form = POP_MOVED;
	request->blocking = (args[0].text[0] & ~0x20) == 'B';
	request->at_head = !sides || resp_is_nocase(&args[4], "LEFT");
	request->elsewhere = !is_input(slot, &args[1]);
	if (sides && ((!resp_is_nocase(&args[3], "LEFT") && !resp_is_nocase(&args[3], "RIGHT")) ||
		      (!request->at_head && !resp_is_nocase(&args[4], "RIGHT"))))
		return err_set(err, ERR_INVALID, "ERR syntax error");
	if (write_command_check(as_write, 3, &slot->targets, NULL) == 0)
		return err_set(err, ERR_INVALID,
			       "ERR an item moves into a list of the worker's own, and from there, when it is done, to the output "
			       "queue; a task with \"delivery\": \"direct\" talks to Redis itself");
	int rc = request->blocking ? read_timeout(&args[message->count - 1], &request->timeout_ms, err) : 0;
	if (rc)
		return rc;
	if (args[2].len > LIMIT_QUEUE_NAME)
		return err_set(err, ERR_TOO_BIG, "ERR the list's name is longer than %d bytes", LIMIT_QUEUE_NAME);
	request->list = malloc(args[2].len + 1);
	if (!request->list)
		return err_set(err, ERR_NOMEM, "OOM out of memory");
	memcpy(request->list, args[2].text, args[2].len + 1);
	request->list_len = args[2].len;
	return 0;
}

int pop_parse(const struct gateway_slot *slot, const struct resp_value *message, struct pop_request *request,
	      struct err *err)
{
	const struct resp_value *name = &message->elements[0];
	*request = (struct pop_request){.max = 1};
	if (resp_is_nocase(name, "BRPOP") || resp_is_nocase(name, "BLPOP"))
		return parse_blocking(slot, message, request, err);
	if (resp_is_nocase(name, "RPOP") || resp_is_nocase(name, "LPOP"))
		return parse_plain(slot, message, request, err);
	if (resp_is_nocase(name, "LMPOP") || resp_is_nocase(name, "BLMPOP"))
		return parse_multiple(slot, message, request, err);
	return parse_move(slot, message, request, err);
}

void pop_request_done(struct pop_request *request)
{
	free(request->list);
	request->list = NULL;
}

void pop_begin(struct gateway_session *session, struct pop_request *request)
{
	struct pop *pop = &session->pop;
	assert(pop->state == POP_NONE);
	pop->single = *request;
	pop->requests = &pop->single;
	pop->request_count = 1;
	pop->blocking = request->blocking;
	pop->timeout_ms = request->timeout_ms;
	pop->half_until_ms = 0;
	pop->state = POP_ARRIVED;
	slot_add_pop(session->slot, session);
}

/* ---- answers ---- */

static int add_nothing(const struct pop_request *request, struct buf *reply)
{
	if (request->form == POP_ONE || (request->form == POP_MOVED && !request->blocking))
		return resp_add_nil(reply);
	return resp_add_nil_array(reply);
}

/* How many of the granted items this answer takes: what others of its MULTI are to have stays, and so does what the
 * connection's buffer cannot hold. */
static size_t choose(const struct pop_request *request, const struct item_list *granted, size_t reserve,
		     const struct buf *reply)
{
	enum { HEAD = 64 };
	size_t most = granted->count > reserve ? granted->count - reserve : 0;
	size_t room = reply->cap - reply->len;
	size_t count = 0;
	for (const struct item *item = granted->first; item && count < most && count < request->max; item = item->next) {
		if (item->payload_len + HEAD > room)
			break;
		room -= item->payload_len + HEAD;
		count++;
	}
	return count;
}

static int add_head(const struct gateway_slot *slot, const struct pop_request *request, size_t count, struct buf *reply)
{
	int rc = 0;
	if (request->form == POP_PAIR || request->form == POP_KEYED) {
		rc = resp_add_array(reply, 2);
		if (!rc)
			rc = resp_add_bulk(reply, slot->input_queue, slot->input_len);
	}
	if (!rc && (request->form == POP_MANY || request->form == POP_KEYED))
		rc = resp_add_array(reply, count);
	if (!rc && request->form == POP_NEXT)
		rc = resp_add_array(reply, 2 * count);
	return rc;
}

int pop_form(struct gateway_slot *slot, const struct pop_request *request, struct item_list *granted, size_t reserve,
	     struct item_list *opened, struct buf *reply)
{
	if (request->form == POP_LLEN) {
		int64_t count = item_pool_count(slot->options.pool);
		return resp_add_integer(reply, count > 0 ? count : 0);
	}
	if (request->form == POP_MANY && request->max == 0)
		return resp_add_array(reply, 0);
	size_t count = request->elsewhere ? 0 : choose(request, granted, reserve, reply);
	if (count == 0 && granted->count > 0 && !request->elsewhere && reserve < granted->count)
		return ERR_TOO_BIG;
	if (count == 0)
		return add_nothing(request, reply);
	int rc = add_head(slot, request, count, reply);
	for (; count > 0 && !rc; count--) {
		struct item *item = granted->first;
		rc = resp_add_bulk(reply, item->payload, item->payload_len);
		if (!rc && request->form == POP_MOVED)
			rc = private_list_add(slot, request, item);
		if (!rc && request->form == POP_NEXT)
			rc = resp_add_integer(reply, item->failures);
		if (rc)
			break;
		(void)item_list_shift(granted);
		item_list_push(opened, item);
	}
	return rc;
}
