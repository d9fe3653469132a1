/* Leases and outcomes between node and hub, as docs/protocol.md describes them: requests of control in JSON, items and
 * results in RESP, so that their bytes are never re-encoded. Each message is written by one side and read by the other, so
 * both directions stand here. Nothing here knows Redis or a socket. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "proto/write_commands.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RESP_CONTENT_TYPE "application/x-resp"

/* ---- POST /gridnode/lease ---- */

struct lease_request {
	const char *node_id;
	json_int_t epoch;
	const char *task_id;
	json_int_t n;       /* from 1 */
	json_int_t max;     /* items, 1 … LIMIT_LEASE_ITEMS */
	json_int_t bytes;   /* of payloads; one item always fits */
	json_int_t wait_s;  /* 0: never held */
	json_int_t version; /* of the task call; a hub with another one answers at once */
};

json_t *lease_request_encode(const struct lease_request *request);
int lease_request_parse(json_t *object, struct lease_request *request, struct err *err) MUST_CHECK;

enum lease_status {
	LEASE_EXECUTED,
	LEASE_EMPTY,
	LEASE_STALE,
	LEASE_SUPERSEDED,
	LEASE_CLOSED,
	LEASE_BLOCKED,
};

struct leased_item {
	const char *id; /* bytes, id_len of them; never text for people */
	size_t id_len;
	const char *payload;
	size_t payload_len;
	int64_t failures;
	bool alone;
};

struct lease_answer {
	enum lease_status status;
	int64_t n;
	int64_t version;
	bool stop_requested;
	int64_t waiting;
};

/* The answer is the head, then `items` items, each added by its own call. */
int lease_answer_begin(struct buf *into, const struct lease_answer *answer, size_t items) MUST_CHECK;
int lease_answer_add(struct buf *into, const struct leased_item *item) MUST_CHECK;

/* Hands each item on, borrowed for the call; ERR_PROTOCOL for what is no answer (some items may have been handed on, so that
 * the caller must look at the whole only when this returns 0: it checks everything before the first call). */
int lease_answer_parse(const char *bytes, size_t len, struct lease_answer *answer,
		       void (*on_item)(void *context, const struct leased_item *item), void *context, struct err *err)
	MUST_CHECK;

/* ---- POST /gridnode/commit ---- */

enum outcome_kind { OUTCOME_DONE, OUTCOME_WRITE, OUTCOME_FAIL, OUTCOME_RETURN };

struct outcome_item {
	const char *id;
	size_t id_len;
	int64_t number; /* of the take that gave it */
};

struct outcome_write {
	const struct write_arg *args;
	size_t count;
};

/* What the hub reads. All borrowed from the reader. */
struct outcome {
	enum outcome_kind kind;
	const struct outcome_item *items;
	size_t item_count;
	const struct outcome_write *writes; /* of done and write */
	size_t write_count;
	int64_t number;     /* of write */
	bool together;      /* of fail */
	const char *error;  /* of fail: JSON text */
	size_t error_len;
};

/* Node: a batch is the number of outcomes, then each of them. Writes are commands in RESP already, one behind the other. */
int commit_begin(struct buf *into, size_t outcomes) MUST_CHECK;
int commit_add_done(struct buf *into, const struct outcome_item *items, size_t count, const struct buf *writes,
		    size_t write_count) MUST_CHECK;
int commit_add_write(struct buf *into, int64_t number, const struct buf *writes, size_t write_count) MUST_CHECK;
int commit_add_fail(struct buf *into, const struct outcome_item *items, size_t count, bool together, const char *error,
		    size_t error_len) MUST_CHECK;
int commit_add_return(struct buf *into, const struct outcome_item *items, size_t count) MUST_CHECK;

/* Hub: reads the whole batch; ERR_INVALID names what is wrong with it. */
struct commit_batch;
struct commit_batch *commit_parse(const char *bytes, size_t len, struct err *err);
size_t commit_count(const struct commit_batch *batch);
const struct outcome *commit_outcome(const struct commit_batch *batch, size_t index);
void commit_free(struct commit_batch *batch);

/* The answer: one result for each outcome, in order. */
enum outcome_result { OUTCOME_ACCEPTED, OUTCOME_DUPLICATE, OUTCOME_REFUSED };

/* messages may be NULL; one that is there belongs to a refused outcome. NULL without memory. */
json_t *commit_answer_encode(const enum outcome_result *results, char *const *messages, size_t count);

/* Hands on `count` results; ERR_PROTOCOL where the answer has another number of them. */
int commit_answer_parse(json_t *answer, size_t count,
			void (*on_result)(void *context, size_t index, enum outcome_result result, const char *message),
			void *context, struct err *err) MUST_CHECK;

/* ---- POST /gridnode/inventory ---- */

struct inventory_request {
	const char *node_id;
	json_int_t epoch;
	const char *task_id;
	json_int_t r;
	json_t *pairs; /* array of [id, number]; when read, checked for that form. Borrowed */
	bool leave;
};

json_t *inventory_request_encode(const struct inventory_request *request);
int inventory_request_parse(json_t *object, struct inventory_request *request, struct err *err) MUST_CHECK;
