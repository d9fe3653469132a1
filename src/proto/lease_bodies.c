/* Owns the bodies of lease answers and commit batches: RESP arrays. Called by agent and hub; a body is checked whole before
 * anything of it is handed on, and never trusted for a length. */
#include "proto/lease_messages.h"

#include "net/resp.h"
#include "proto/limits.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

enum {
	MAX_OUTCOMES = 10 * 1000,
	MAX_VALUES = 1000 * 1000,
	ANSWER_PARTS = 6,
	ITEM_PARTS = 4,
	FLAG_ALONE = 1,
};

static const struct resp_limits ANSWER_LIMITS = {
	.max_depth = 3,
	.max_elements = LIMIT_LEASE_ITEMS,
	.max_values = (ITEM_PARTS + 1) * LIMIT_LEASE_ITEMS + ANSWER_PARTS + 1,
	.max_bulk = LIMIT_ITEM,
	.max_line = 64,
	.max_message = LIMIT_LEASE_ANSWER,
	.max_pipelined = 0,
};

static const struct resp_limits BATCH_LIMITS = {
	.max_depth = 4,
	.max_elements = MAX_VALUES,
	.max_values = MAX_VALUES,
	.max_bulk = LIMIT_RESULT,
	.max_line = 64,
	.max_message = LIMIT_COMMIT_BODY,
	.max_pipelined = 0,
};

/* Reads a body that must be one array and nothing else. The value lives as long as the reader. */
static const struct resp_value *read_array(struct resp_reader *reader, const char *bytes, size_t len, struct err *err)
{
	const struct resp_value *value = NULL;
	if (!reader) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	if (resp_reader_feed(reader, bytes, len, err) || resp_reader_next(reader, &value, err))
		return NULL;
	if (value && value->type == RESP_ARRAY && resp_reader_buffered(reader) == 0)
		return value;
	(void)err_set(err, ERR_PROTOCOL, "the body is not one RESP array");
	return NULL;
}

static bool is_id(const struct resp_value *value)
{
	return value->type == RESP_BULK && value->len > 0 && value->len <= LIMIT_ITEM_ID;
}

/* ---- the lease's answer ---- */

static const char *const STATUS_NAMES[] = {
	[LEASE_EXECUTED] = "executed", [LEASE_EMPTY] = "empty",   [LEASE_STALE] = "stale",
	[LEASE_SUPERSEDED] = "superseded", [LEASE_CLOSED] = "closed", [LEASE_BLOCKED] = "blocked",
};

int lease_answer_begin(struct buf *into, const struct lease_answer *answer, size_t items)
{
	const char *status = STATUS_NAMES[answer->status];
	int rc = resp_add_array(into, ANSWER_PARTS);
	if (!rc)
		rc = resp_add_bulk(into, status, strlen(status));
	if (!rc)
		rc = resp_add_integer(into, answer->n);
	if (!rc)
		rc = resp_add_integer(into, answer->version);
	if (!rc)
		rc = resp_add_integer(into, answer->stop_requested);
	if (!rc)
		rc = resp_add_integer(into, answer->waiting);
	return rc ? rc : resp_add_array(into, items);
}

int lease_answer_add(struct buf *into, const struct leased_item *item)
{
	int rc = resp_add_array(into, ITEM_PARTS);
	if (!rc)
		rc = resp_add_bulk(into, item->id, item->id_len);
	if (!rc)
		rc = resp_add_bulk(into, item->payload, item->payload_len);
	if (!rc)
		rc = resp_add_integer(into, item->failures);
	return rc ? rc : resp_add_integer(into, item->alone ? FLAG_ALONE : 0);
}

static bool read_status(const struct resp_value *value, enum lease_status *status)
{
	for (size_t i = 0; i < COUNT(STATUS_NAMES); i++) {
		if (resp_is(value, STATUS_NAMES[i])) {
			*status = (enum lease_status)i;
			return true;
		}
	}
	return false;
}

static bool is_item(const struct resp_value *value)
{
	return value->type == RESP_ARRAY && value->count == ITEM_PARTS && is_id(&value->elements[0]) &&
	       value->elements[1].type == RESP_BULK && value->elements[2].type == RESP_INTEGER &&
	       value->elements[3].type == RESP_INTEGER;
}

static bool read_answer(const struct resp_value *value, struct lease_answer *answer)
{
	const struct resp_value *part = value->elements;
	if (value->count != ANSWER_PARTS || !read_status(&part[0], &answer->status))
		return false;
	for (size_t i = 1; i < ANSWER_PARTS - 1; i++) {
		if (part[i].type != RESP_INTEGER)
			return false;
	}
	if (part[ANSWER_PARTS - 1].type != RESP_ARRAY)
		return false;
	answer->n = part[1].integer;
	answer->version = part[2].integer;
	answer->stop_requested = part[3].integer != 0;
	answer->waiting = part[4].integer;
	for (size_t i = 0; i < part[5].count; i++) {
		if (!is_item(&part[5].elements[i]))
			return false;
	}
	return true;
}

int lease_answer_parse(const char *bytes, size_t len, struct lease_answer *answer,
		       void (*on_item)(void *context, const struct leased_item *item), void *context, struct err *err)
{
	struct resp_reader *reader = resp_reader_new(&ANSWER_LIMITS);
	const struct resp_value *value = read_array(reader, bytes, len, err);
	int rc = value ? 0 : (int)(err ? err->code : ERR_PROTOCOL);
	if (value && !read_answer(value, answer))
		rc = err_set(err, ERR_PROTOCOL, "the hub's answer to a lease call is not one");
	for (size_t i = 0; !rc && i < value->elements[ANSWER_PARTS - 1].count; i++) {
		const struct resp_value *part = value->elements[ANSWER_PARTS - 1].elements[i].elements;
		const struct leased_item item = {.id = part[0].text,
						 .id_len = part[0].len,
						 .payload = part[1].text,
						 .payload_len = part[1].len,
						 .failures = part[2].integer,
						 .alone = part[3].integer & FLAG_ALONE};
		on_item(context, &item);
	}
	resp_reader_free(reader);
	return rc;
}

/* ---- the commit's batch, written ---- */

static const char *const KIND_NAMES[] = {
	[OUTCOME_DONE] = "done", [OUTCOME_WRITE] = "write", [OUTCOME_FAIL] = "fail", [OUTCOME_RETURN] = "return"};
static const size_t KIND_PARTS[] = {[OUTCOME_DONE] = 3, [OUTCOME_WRITE] = 3, [OUTCOME_FAIL] = 4, [OUTCOME_RETURN] = 2};

int commit_begin(struct buf *into, size_t outcomes)
{
	return resp_add_array(into, outcomes);
}

static int add_head(struct buf *into, enum outcome_kind kind)
{
	int rc = resp_add_array(into, KIND_PARTS[kind]);
	return rc ? rc : resp_add_bulk(into, KIND_NAMES[kind], strlen(KIND_NAMES[kind]));
}

static int add_writes(struct buf *into, const struct buf *writes, size_t count)
{
	int rc = resp_add_array(into, count);
	return rc || count == 0 ? rc : buf_add(into, writes->data, writes->len);
}

static int add_pairs(struct buf *into, const struct outcome_item *items, size_t count)
{
	int rc = resp_add_array(into, 2 * count);
	for (size_t i = 0; i < count && !rc; i++) {
		rc = resp_add_bulk(into, items[i].id, items[i].id_len);
		if (!rc)
			rc = resp_add_integer(into, items[i].number);
	}
	return rc;
}

int commit_add_done(struct buf *into, const struct outcome_item *items, size_t count, const struct buf *writes,
		    size_t write_count)
{
	int rc = add_head(into, OUTCOME_DONE);
	if (!rc)
		rc = add_pairs(into, items, count);
	return rc ? rc : add_writes(into, writes, write_count);
}

int commit_add_write(struct buf *into, int64_t number, const struct buf *writes, size_t write_count)
{
	int rc = add_head(into, OUTCOME_WRITE);
	if (!rc)
		rc = resp_add_integer(into, number);
	return rc ? rc : add_writes(into, writes, write_count);
}

int commit_add_fail(struct buf *into, const struct outcome_item *items, size_t count, bool together, const char *error,
		    size_t error_len)
{
	int rc = add_head(into, OUTCOME_FAIL);
	if (!rc)
		rc = add_pairs(into, items, count);
	if (!rc)
		rc = resp_add_integer(into, together);
	return rc ? rc : resp_add_bulk(into, error, error_len);
}

int commit_add_return(struct buf *into, const struct outcome_item *items, size_t count)
{
	int rc = add_head(into, OUTCOME_RETURN);
	return rc ? rc : add_pairs(into, items, count);
}

/* ---- the commit's batch, read ---- */

/* One block of each kind for the whole batch: the outcomes point into them. */
struct commit_batch {
	struct resp_reader *reader; /* owns the bytes */
	struct outcome *outcomes;
	size_t count;
	struct outcome_item *items;
	size_t item_count;
	struct outcome_write *writes;
	size_t write_count;
	struct write_arg *args;
	size_t arg_count;
};

static const char NOT_AN_OUTCOME[] = "the batch has an entry that is no outcome; docs/protocol.md has their forms";

static bool has_form(const struct resp_value *value, enum outcome_kind *kind)
{
	static const enum resp_type TYPES[][4] = {
		[OUTCOME_DONE] = {RESP_BULK, RESP_ARRAY, RESP_ARRAY},
		[OUTCOME_WRITE] = {RESP_BULK, RESP_INTEGER, RESP_ARRAY},
		[OUTCOME_FAIL] = {RESP_BULK, RESP_ARRAY, RESP_INTEGER, RESP_BULK},
		[OUTCOME_RETURN] = {RESP_BULK, RESP_ARRAY},
	};
	if (value->type != RESP_ARRAY || value->count == 0)
		return false;
	for (size_t i = 0; i < COUNT(KIND_NAMES); i++) {
		if (!resp_is(&value->elements[0], KIND_NAMES[i]))
			continue;
		*kind = (enum outcome_kind)i;
		bool good = value->count == KIND_PARTS[i];
		for (size_t part = 0; good && part < value->count; part++)
			good = value->elements[part].type == TYPES[i][part];
		return good;
	}
	return false;
}

static bool is_number(const struct resp_value *value)
{
	return value->type == RESP_INTEGER && value->integer >= 1 && value->integer <= LIMIT_NUMBER;
}

/* Pairs of id and take number. */
static bool are_items(const struct resp_value *list)
{
	if (list->count == 0 || list->count % 2)
		return false;
	for (size_t i = 0; i < list->count; i += 2) {
		const struct resp_value *number = &list->elements[i + 1];
		if (!is_id(&list->elements[i]) || !is_number(number))
			return false;
	}
	return true;
}

static bool are_writes(const struct resp_value *list, size_t *args)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct resp_value *write = &list->elements[i];
		if (write->type != RESP_ARRAY || write->count == 0)
			return false;
		for (size_t k = 0; k < write->count; k++) {
			if (write->elements[k].type != RESP_BULK)
				return false;
		}
		*args += write->count;
	}
	return true;
}

static bool is_outcome(const struct resp_value *value, struct commit_batch *batch)
{
	enum outcome_kind kind;
	if (!has_form(value, &kind))
		return false;
	const struct resp_value *part = value->elements;
	switch (kind) {
	case OUTCOME_DONE:
		batch->item_count += part[1].count / 2;
		batch->write_count += part[2].count;
		return are_items(&part[1]) && are_writes(&part[2], &batch->arg_count);
	case OUTCOME_WRITE:
		batch->write_count += part[2].count;
		return is_number(&part[1]) && part[2].count > 0 && are_writes(&part[2], &batch->arg_count);
	case OUTCOME_FAIL:
		batch->item_count += part[1].count / 2;
		return are_items(&part[1]) && part[3].len <= LIMIT_FAILURE;
	case OUTCOME_RETURN:
		batch->item_count += part[1].count / 2;
		return are_items(&part[1]);
	}
	return false;
}

static void take_items(struct commit_batch *batch, struct outcome *outcome, const struct resp_value *list)
{
	outcome->items = batch->items + batch->item_count;
	outcome->item_count = list->count / 2;
	for (size_t i = 0; i < list->count; i += 2)
		batch->items[batch->item_count++] = (struct outcome_item){
			.id = list->elements[i].text,
			.id_len = list->elements[i].len,
			.number = list->elements[i + 1].integer,
		};
}

static void take_writes(struct commit_batch *batch, struct outcome *outcome, const struct resp_value *list)
{
	outcome->writes = batch->writes + batch->write_count;
	outcome->write_count = list->count;
	for (size_t i = 0; i < list->count; i++) {
		const struct resp_value *write = &list->elements[i];
		batch->writes[batch->write_count++] =
			(struct outcome_write){.args = batch->args + batch->arg_count, .count = write->count};
		for (size_t k = 0; k < write->count; k++)
			batch->args[batch->arg_count++] =
				(struct write_arg){.bytes = write->elements[k].text, .len = write->elements[k].len};
	}
}

static void take_outcome(struct commit_batch *batch, const struct resp_value *value)
{
	struct outcome *outcome = &batch->outcomes[batch->count++];
	const struct resp_value *part = value->elements;
	*outcome = (struct outcome){0};
	(void)has_form(value, &outcome->kind);
	switch (outcome->kind) {
	case OUTCOME_DONE:
		take_items(batch, outcome, &part[1]);
		take_writes(batch, outcome, &part[2]);
		break;
	case OUTCOME_WRITE:
		outcome->number = part[1].integer;
		take_writes(batch, outcome, &part[2]);
		break;
	case OUTCOME_FAIL:
		take_items(batch, outcome, &part[1]);
		outcome->together = part[2].integer != 0;
		outcome->error = part[3].text;
		outcome->error_len = part[3].len;
		break;
	case OUTCOME_RETURN:
		take_items(batch, outcome, &part[1]);
		break;
	}
}

static int take_all(struct commit_batch *batch, const struct resp_value *list, struct err *err)
{
	for (size_t i = 0; i < list->count; i++) {
		if (!is_outcome(&list->elements[i], batch))
			return err_set(err, ERR_INVALID, "%s", NOT_AN_OUTCOME);
	}
	if (batch->item_count > LIMIT_BATCH_ITEMS)
		return err_set(err, ERR_TOO_BIG, "the batch has more than %d items", LIMIT_BATCH_ITEMS);
	batch->outcomes = calloc(list->count + 1, sizeof(*batch->outcomes));
	batch->items = calloc(batch->item_count + 1, sizeof(*batch->items));
	batch->writes = calloc(batch->write_count + 1, sizeof(*batch->writes));
	batch->args = calloc(batch->arg_count + 1, sizeof(*batch->args));
	if (!batch->outcomes || !batch->items || !batch->writes || !batch->args)
		return err_set(err, ERR_NOMEM, "out of memory");
	batch->item_count = batch->write_count = batch->arg_count = 0; /* now: how many are taken */
	for (size_t i = 0; i < list->count; i++)
		take_outcome(batch, &list->elements[i]);
	return 0;
}

struct commit_batch *commit_parse(const char *bytes, size_t len, struct err *err)
{
	struct commit_batch *batch = calloc(1, sizeof(*batch));
	if (!batch) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	batch->reader = resp_reader_new(&BATCH_LIMITS);
	const struct resp_value *list = read_array(batch->reader, bytes, len, err);
	int rc = list ? 0 : ERR_INVALID;
	if (list && list->count > MAX_OUTCOMES)
		rc = err_set(err, ERR_TOO_BIG, "the batch has more than %d outcomes", MAX_OUTCOMES);
	if (!rc)
		rc = take_all(batch, list, err);
	if (rc) {
		commit_free(batch);
		return NULL;
	}
	return batch;
}

size_t commit_count(const struct commit_batch *batch)
{
	return batch->count;
}

const struct outcome *commit_outcome(const struct commit_batch *batch, size_t index)
{
	return &batch->outcomes[index];
}

void commit_free(struct commit_batch *batch)
{
	if (!batch)
		return;
	resp_reader_free(batch->reader);
	free(batch->outcomes);
	free(batch->items);
	free(batch->writes);
	free(batch->args);
	free(batch);
}
