/* Owns the control bodies of lease, commit and inventory (JSON). Called by agent and hub; the items' and results' bodies are
 * in lease_bodies.c. Fields that it does not know are passed over. */
#include "proto/lease_messages.h"

#include "base/json.h"
#include "proto/limits.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

json_t *lease_request_encode(const struct lease_request *request)
{
	return json_pack("{s:s, s:I, s:s, s:I, s:I, s:I, s:I, s:I}", "node_id", request->node_id, "epoch", request->epoch,
			 "task_id", request->task_id, "n", request->n, "max", request->max, "bytes", request->bytes, "wait",
			 request->wait_s, "version", request->version);
}

int lease_request_parse(json_t *object, struct lease_request *request, struct err *err)
{
	*request = (struct lease_request){0};
	const struct json_field table[] = {
		{.name = "node_id", .type = JSON_FIELD_STRING, .into = &request->node_id, .required = true, .max_len = LIMIT_NODE_ID},
		{.name = "epoch", .type = JSON_FIELD_INTEGER, .into = &request->epoch, .required = true, .min = 1, .max = LIMIT_NUMBER},
		{.name = "task_id", .type = JSON_FIELD_STRING, .into = &request->task_id, .required = true, .max_len = LIMIT_RUN},
		{.name = "n", .type = JSON_FIELD_INTEGER, .into = &request->n, .required = true, .min = 1, .max = LIMIT_NUMBER},
		{.name = "max", .type = JSON_FIELD_INTEGER, .into = &request->max, .required = true, .min = 1, .max = LIMIT_LEASE_ITEMS},
		{.name = "bytes", .type = JSON_FIELD_INTEGER, .into = &request->bytes, .required = true, .min = 1, .max = LIMIT_LEASE_ANSWER},
		{.name = "wait", .type = JSON_FIELD_INTEGER, .into = &request->wait_s, .required = true, .min = 0, .max = LIMIT_TASK_WAIT_S},
		{.name = "version", .type = JSON_FIELD_INTEGER, .into = &request->version, .required = true, .min = -1, .max = INT64_MAX},
	};
	return json_read_fields(object, table, COUNT(table), false, err);
}

/* ---- the commit's answer ---- */

static const char *const RESULT_NAMES[] = {
	[OUTCOME_ACCEPTED] = "accepted",
	[OUTCOME_DUPLICATE] = "duplicate",
	[OUTCOME_REFUSED] = "refused",
};

static bool all_accepted(const enum outcome_result *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (results[i] != OUTCOME_ACCEPTED)
			return false;
	}
	return true;
}

json_t *commit_answer_encode(const enum outcome_result *results, char *const *messages, size_t count)
{
	if (all_accepted(results, count))
		return json_pack("{s:I}", "accepted", (json_int_t)count);
	json_t *list = json_array();
	for (size_t i = 0; list && i < count; i++) {
		const char *message = messages ? messages[i] : NULL;
		json_t *entry = json_pack("{s:s, s:o*}", "outcome", RESULT_NAMES[results[i]], "message",
					  message ? json_lossy_string(message) : NULL);
		if (json_array_append_new(list, entry)) {
			json_decref(list);
			list = NULL;
		}
	}
	return list ? json_pack("{s:o}", "results", list) : NULL;
}

static int read_result(json_t *entry, enum outcome_result *result)
{
	const char *name = json_string_value(json_object_get(entry, "outcome"));
	for (size_t i = 0; name && i < COUNT(RESULT_NAMES); i++) {
		if (strcmp(RESULT_NAMES[i], name) == 0) {
			*result = (enum outcome_result)i;
			return 0;
		}
	}
	return ERR_PROTOCOL;
}

static int check_results(json_t *results, size_t count, struct err *err)
{
	enum outcome_result result;
	bool good = json_array_size(results) == count;
	for (size_t i = 0; good && i < count; i++)
		good = read_result(json_array_get(results, i), &result) == 0;
	return good ? 0 : err_set(err, ERR_PROTOCOL, "the hub's answer does not fit the batch that was sent");
}

int commit_answer_parse(json_t *answer, size_t count,
			void (*on_result)(void *context, size_t index, enum outcome_result result, const char *message),
			void *context, struct err *err)
{
	json_t *results = json_object_get(answer, "results");
	if (!results && json_integer_value(json_object_get(answer, "accepted")) == (json_int_t)count) {
		for (size_t i = 0; i < count; i++)
			on_result(context, i, OUTCOME_ACCEPTED, NULL);
		return 0;
	}
	int rc = check_results(results, count, err);
	for (size_t i = 0; !rc && i < count; i++) {
		json_t *entry = json_array_get(results, i);
		enum outcome_result result = OUTCOME_REFUSED;
		(void)read_result(entry, &result);
		on_result(context, i, result, json_string_value(json_object_get(entry, "message")));
	}
	return rc;
}

/* ---- inventory ---- */

json_t *inventory_request_encode(const struct inventory_request *request)
{
	return json_pack("{s:s, s:I, s:s, s:I, s:O, s:b}", "node_id", request->node_id, "epoch", request->epoch, "task_id",
			 request->task_id, "r", request->r, "pairs", request->pairs, "leave", (int)request->leave);
}

static bool is_number(json_t *value)
{
	json_int_t number = json_integer_value(value);
	return number > 0 && number <= LIMIT_NUMBER;
}

static int check_pairs(json_t *pairs, struct err *err)
{
	size_t i;
	json_t *pair;
	bool good = json_is_array(pairs) && json_array_size(pairs) <= LIMIT_BATCH_ITEMS;
	json_array_foreach(pairs, i, pair) {
		size_t len = json_string_length(json_array_get(pair, 0));
		good = good && json_array_size(pair) == 2 && len > 0 && len <= LIMIT_ITEM_ID &&
		       is_number(json_array_get(pair, 1));
	}
	return good ? 0 : err_set(err, ERR_INVALID, "field \"pairs\" must be an array of [id, number]");
}

int inventory_request_parse(json_t *object, struct inventory_request *request, struct err *err)
{
	*request = (struct inventory_request){0};
	const struct json_field table[] = {
		{.name = "node_id", .type = JSON_FIELD_STRING, .into = &request->node_id, .required = true, .max_len = LIMIT_NODE_ID},
		{.name = "epoch", .type = JSON_FIELD_INTEGER, .into = &request->epoch, .required = true, .min = 1, .max = LIMIT_NUMBER},
		{.name = "task_id", .type = JSON_FIELD_STRING, .into = &request->task_id, .required = true, .max_len = LIMIT_RUN},
		{.name = "r", .type = JSON_FIELD_INTEGER, .into = &request->r, .required = true, .min = 0, .max = LIMIT_NUMBER},
		{.name = "pairs", .type = JSON_FIELD_ANY, .into = &request->pairs, .required = true},
		{.name = "leave", .type = JSON_FIELD_BOOLEAN, .into = &request->leave},
	};
	int rc = json_read_fields(object, table, COUNT(table), false, err);
	return rc ? rc : check_pairs(request->pairs, err);
}
