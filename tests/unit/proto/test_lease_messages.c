/* Protects what node and hub say about leases: each message reads back as it was written, every bound is kept on both sides of
 * it, and nothing that is no message is handed on. */
#include "proto/lease_messages.h"

#include "net/resp.h"
#include "proto/limits.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the lease's request ---- */

static void test_lease_request_round_trip(void **state)
{
	(void)state;
	const struct lease_request sent = {.node_id = "n", .epoch = 7, .task_id = "t", .n = 17, .max = 64, .bytes = 4096, .wait_s = 30, .version = -1};
	json_t *object = lease_request_encode(&sent);
	struct lease_request read;
	assert_int_equal(lease_request_parse(object, &read, NULL), 0);
	assert_string_equal(read.node_id, "n");
	assert_string_equal(read.task_id, "t");
	assert_int_equal(read.epoch, 7);
	assert_int_equal(read.n, 17);
	assert_int_equal(read.max, 64);
	assert_int_equal(read.bytes, 4096);
	assert_int_equal(read.wait_s, 30);
	assert_int_equal(read.version, -1);
	json_decref(object);
}

/* A good request with one field replaced; NULL value: removed. */
static int parse_with(const char *field, json_t *value, struct err *err)
{
	const struct lease_request good = {.node_id = "n", .epoch = 1, .task_id = "t", .n = 1, .max = 1, .bytes = 1};
	json_t *object = lease_request_encode(&good);
	if (value)
		json_object_set_new(object, field, value);
	else
		json_object_del(object, field);
	struct lease_request read;
	int rc = lease_request_parse(object, &read, err);
	json_decref(object);
	return rc;
}

static void test_lease_request_keeps_its_bounds(void **state)
{
	(void)state;
	static const struct {
		const char *field;
		int64_t least, most;
	} BOUNDS[] = {
		{"epoch", 1, LIMIT_NUMBER},	 {"n", 1, LIMIT_NUMBER},
		{"max", 1, LIMIT_LEASE_ITEMS},	 {"bytes", 1, LIMIT_LEASE_ANSWER},
		{"wait", 0, LIMIT_TASK_WAIT_S},
	};
	for (size_t i = 0; i < sizeof(BOUNDS) / sizeof(BOUNDS[0]); i++) {
		struct err err = {0};
		assert_int_equal(parse_with(BOUNDS[i].field, json_integer(BOUNDS[i].least), &err), 0);
		assert_int_equal(parse_with(BOUNDS[i].field, json_integer(BOUNDS[i].most), &err), 0);
		assert_int_equal(parse_with(BOUNDS[i].field, json_integer(BOUNDS[i].least - 1), &err), ERR_INVALID);
		assert_contains(err.text, BOUNDS[i].field);
		assert_int_equal(parse_with(BOUNDS[i].field, json_integer(BOUNDS[i].most + 1), &err), ERR_INVALID);
		assert_int_equal(parse_with(BOUNDS[i].field, NULL, &err), ERR_INVALID);
		assert_int_equal(parse_with(BOUNDS[i].field, json_string("1"), &err), ERR_INVALID);
	}
	assert_int_equal(parse_with("something_new", json_true(), NULL), 0);
}

/* ---- the lease's answer ---- */

static struct leased_item seen[4];
static char payloads[4][16];
static size_t seen_count;

static void on_item(void *context, const struct leased_item *item)
{
	assert_ptr_equal(context, seen);
	assert_true(seen_count < 4 && item->payload_len < sizeof(payloads[0]));
	memcpy(payloads[seen_count], item->payload, item->payload_len);
	seen[seen_count++] = *item;
}

static int parse_answer(const char *bytes, size_t len, struct lease_answer *answer, struct err *err)
{
	seen_count = 0;
	return lease_answer_parse(bytes, len, answer, on_item, seen, err);
}

static void test_lease_answer_round_trip(void **state)
{
	(void)state;
	static const char BYTES[] = "\0\r\n\xff*1\r\n";
	struct buf body;
	struct lease_answer answer = {.status = LEASE_EXECUTED, .n = 17, .version = 99, .stop_requested = true, .waiting = 4711};
	const struct leased_item items[] = {
		{.id = "1f0c9a7be4d2c35a-17", .id_len = 19, .payload = BYTES, .payload_len = sizeof(BYTES) - 1, .failures = 2, .alone = true},
		{.id = "x", .id_len = 1, .payload = "", .payload_len = 0},
	};
	buf_init(&body, 1000);
	assert_int_equal(lease_answer_begin(&body, &answer, 2), 0);
	assert_int_equal(lease_answer_add(&body, &items[0]), 0);
	assert_int_equal(lease_answer_add(&body, &items[1]), 0);
	answer = (struct lease_answer){0};
	assert_int_equal(parse_answer(body.data, body.len, &answer, NULL), 0);
	assert_int_equal(answer.status, LEASE_EXECUTED);
	assert_int_equal(answer.n, 17);
	assert_int_equal(answer.version, 99);
	assert_true(answer.stop_requested);
	assert_int_equal(answer.waiting, 4711);
	assert_int_equal(seen_count, 2);
	assert_int_equal(seen[0].id_len, 19);
	assert_int_equal(seen[0].payload_len, sizeof(BYTES) - 1);
	assert_memory_equal(payloads[0], BYTES, sizeof(BYTES) - 1);
	assert_int_equal(seen[0].failures, 2);
	assert_true(seen[0].alone && !seen[1].alone);

	for (size_t len = 0; len < body.len; len++) { /* cut anywhere: nothing is handed on */
		struct err err = {0};
		assert_int_not_equal(parse_answer(body.data, len, &answer, &err), 0);
		assert_int_equal(seen_count, 0);
	}
	buf_done(&body);
}

static void test_lease_answer_has_every_status(void **state)
{
	(void)state;
	for (int status = LEASE_EXECUTED; status <= LEASE_BLOCKED; status++) {
		struct buf body;
		struct lease_answer answer = {.status = (enum lease_status)status};
		buf_init(&body, 1000);
		assert_int_equal(lease_answer_begin(&body, &answer, 0), 0);
		answer.status = LEASE_EXECUTED;
		assert_int_equal(parse_answer(body.data, body.len, &answer, NULL), 0);
		assert_int_equal(answer.status, status);
		buf_done(&body);
	}
}

static void test_lease_answer_that_is_none_is_refused(void **state)
{
	(void)state;
	static const char *const NONSENSE[] = {
		"",
		":1\r\n",
		"*0\r\n",
		"*6\r\n$5\r\nhello\r\n:1\r\n:1\r\n:0\r\n:0\r\n*0\r\n",
		"*6\r\n$5\r\nempty\r\n:1\r\n$1\r\n1\r\n:0\r\n:0\r\n*0\r\n",
		"*6\r\n$5\r\nempty\r\n:1\r\n:1\r\n:0\r\n:0\r\n:0\r\n",
		"*6\r\n$5\r\nempty\r\n:1\r\n:1\r\n:0\r\n:0\r\n*0\r\n:1\r\n",
		"*6\r\n$8\r\nexecuted\r\n:1\r\n:1\r\n:0\r\n:0\r\n*1\r\n*3\r\n$1\r\nx\r\n$1\r\np\r\n:0\r\n",
		"*6\r\n$8\r\nexecuted\r\n:1\r\n:1\r\n:0\r\n:0\r\n*1\r\n*4\r\n$0\r\n\r\n$1\r\np\r\n:0\r\n:0\r\n",
		"*6\r\n$8\r\nexecuted\r\n:1\r\n:1\r\n:0\r\n:0\r\n*2147483647\r\n",
		"*6\r\n$8\r\nexecuted\r\n:1\r\n:1\r\n:0\r\n:0\r\n*1\r\n*4\r\n$1\r\nx\r\n$999999999\r\n",
	};
	for (size_t i = 0; i < sizeof(NONSENSE) / sizeof(NONSENSE[0]); i++) {
		struct lease_answer answer;
		struct err err = {0};
		if (parse_answer(NONSENSE[i], strlen(NONSENSE[i]), &answer, &err) == 0)
			fail_msg("taken: %s", NONSENSE[i]);
		assert_int_equal(seen_count, 0);
		assert_true(err.text[0]);
	}
}

/* ---- the commit ---- */

static void test_commit_round_trip(void **state)
{
	(void)state;
	struct buf body;
	struct buf writes;
	const struct outcome_item items[] = {{.id = "a-1", .id_len = 3, .number = 5}, {.id = "b-2", .id_len = 3, .number = 6}};
	buf_init(&body, 10000);
	buf_init(&writes, 1000);
	assert_int_equal(resp_add_command(&writes, 3, (const char *const[]){"LPUSH", "out", "x\ny"}, NULL), 0);
	assert_int_equal(resp_add_command(&writes, 4, (const char *const[]){"HSET", "out:h", "f", "v"}, NULL), 0);
	assert_int_equal(commit_begin(&body, 5), 0);
	assert_int_equal(commit_add_done(&body, items, 2, &writes, 2), 0);
	assert_int_equal(commit_add_done(&body, items, 1, NULL, 0), 0);
	assert_int_equal(commit_add_write(&body, 9, &writes, 2), 0);
	assert_int_equal(commit_add_fail(&body, items, 2, true, "{}", 2), 0);
	assert_int_equal(commit_add_return(&body, items + 1, 1), 0);

	struct err err = {0};
	struct commit_batch *batch = commit_parse(body.data, body.len, &err);
	if (!batch)
		fail_msg("%s", err.text);
	assert_int_equal(commit_count(batch), 5);
	const struct outcome *done = commit_outcome(batch, 0);
	assert_int_equal(done->kind, OUTCOME_DONE);
	assert_int_equal(done->item_count, 2);
	assert_memory_equal(done->items[1].id, "b-2", 3);
	assert_int_equal(done->items[1].number, 6);
	assert_int_equal(done->write_count, 2);
	assert_int_equal(done->writes[1].count, 4);
	assert_memory_equal(done->writes[1].args[1].bytes, "out:h", 5);
	assert_memory_equal(done->writes[0].args[2].bytes, "x\ny", 3);
	assert_int_equal(commit_outcome(batch, 1)->write_count, 0);
	assert_int_equal(commit_outcome(batch, 2)->kind, OUTCOME_WRITE);
	assert_int_equal(commit_outcome(batch, 2)->number, 9);
	assert_int_equal(commit_outcome(batch, 3)->kind, OUTCOME_FAIL);
	assert_true(commit_outcome(batch, 3)->together);
	assert_int_equal(commit_outcome(batch, 3)->error_len, 2);
	assert_int_equal(commit_outcome(batch, 4)->kind, OUTCOME_RETURN);
	assert_int_equal(commit_outcome(batch, 4)->items[0].number, 6);
	commit_free(batch);

	for (size_t len = 0; len < body.len; len++)
		assert_null(commit_parse(body.data, len, &err));
	buf_done(&body);
	buf_done(&writes);
}

static void test_commit_keeps_its_bounds(void **state)
{
	(void)state;
	struct err err = {0};
	struct buf body;
	char id[LIMIT_ITEM_ID + 1];
	char *error = calloc(1, LIMIT_FAILURE + 1);
	memset(id, 'x', sizeof(id));
	memset(error, ' ', LIMIT_FAILURE + 1);
	const struct {
		size_t id_len;
		int64_t number;
		size_t error_len;
		bool good;
	} CASES[] = {
		{LIMIT_ITEM_ID, LIMIT_NUMBER, LIMIT_FAILURE, true}, {LIMIT_ITEM_ID + 1, 1, 1, false}, {0, 1, 1, false},
		{1, LIMIT_NUMBER + 1, 1, false},		    {1, 0, 1, false},		      {1, 1, LIMIT_FAILURE + 1, false},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		const struct outcome_item item = {.id = id, .id_len = CASES[i].id_len, .number = CASES[i].number};
		buf_init(&body, 100000);
		assert_int_equal(commit_begin(&body, 1), 0);
		assert_int_equal(commit_add_fail(&body, &item, 1, false, error, CASES[i].error_len), 0);
		struct commit_batch *batch = commit_parse(body.data, body.len, &err);
		assert_true((batch != NULL) == CASES[i].good);
		commit_free(batch);
		buf_done(&body);
	}
	free(error);
}

static void test_commit_of_too_many_is_too_big(void **state)
{
	(void)state;
	struct err err = {0};
	struct buf body;
	const struct outcome_item item = {.id = "x", .id_len = 1, .number = 1};
	buf_init(&body, 10000000);
	assert_int_equal(commit_begin(&body, 10001), 0);
	for (size_t i = 0; i < 10001; i++)
		assert_int_equal(commit_add_return(&body, &item, 1), 0);
	assert_null(commit_parse(body.data, body.len, &err));
	assert_int_equal(err.code, ERR_TOO_BIG);
	buf_clear(&body);
	struct outcome_item *many = calloc(LIMIT_BATCH_ITEMS + 1, sizeof(*many));
	for (size_t i = 0; i < LIMIT_BATCH_ITEMS + 1; i++)
		many[i] = item;
	assert_int_equal(commit_begin(&body, 1), 0);
	assert_int_equal(commit_add_return(&body, many, LIMIT_BATCH_ITEMS + 1), 0);
	assert_null(commit_parse(body.data, body.len, &err));
	assert_int_equal(err.code, ERR_TOO_BIG);
	free(many);
	buf_done(&body);
}

/* ---- the commit's answer ---- */

static enum outcome_result results_seen[3];
static char message_seen[32];

static void on_result(void *context, size_t index, enum outcome_result result, const char *message)
{
	(void)context;
	results_seen[index] = result;
	if (message)
		(void)snprintf(message_seen, sizeof(message_seen), "%s", message);
}

static void test_commit_answer_round_trip(void **state)
{
	(void)state;
	const enum outcome_result accepted[3] = {OUTCOME_ACCEPTED, OUTCOME_ACCEPTED, OUTCOME_ACCEPTED};
	const enum outcome_result mixed[3] = {OUTCOME_DUPLICATE, OUTCOME_REFUSED, OUTCOME_ACCEPTED};
	char why[] = "no such table";
	char *messages[3] = {NULL, why, NULL};
	json_t *answer = commit_answer_encode(accepted, messages, 3);
	assert_int_equal(json_integer_value(json_object_get(answer, "accepted")), 3);
	results_seen[0] = OUTCOME_REFUSED;
	assert_int_equal(commit_answer_parse(answer, 3, on_result, NULL, NULL), 0);
	assert_int_equal(results_seen[0], OUTCOME_ACCEPTED);
	struct err err = {0};
	assert_int_equal(commit_answer_parse(answer, 2, on_result, NULL, &err), ERR_PROTOCOL);
	json_decref(answer);

	answer = commit_answer_encode(mixed, messages, 3);
	assert_int_equal(commit_answer_parse(answer, 3, on_result, NULL, NULL), 0);
	assert_memory_equal(results_seen, mixed, sizeof(mixed));
	assert_string_equal(message_seen, why);
	assert_int_equal(commit_answer_parse(answer, 4, on_result, NULL, &err), ERR_PROTOCOL);
	json_decref(answer);
}

/* ---- inventory ---- */

static int parse_inventory(const char *pairs)
{
	char text[256];
	(void)snprintf(text, sizeof(text), "{\"node_id\": \"n\", \"epoch\": 1, \"task_id\": \"t\", \"r\": 0, \"pairs\": %s}", pairs);
	json_t *object = json_loads(text, 0, NULL);
	struct inventory_request read;
	struct err err = {0};
	int rc = inventory_request_parse(object, &read, &err);
	json_decref(object);
	return rc;
}

static void test_inventory_checks_its_pairs(void **state)
{
	(void)state;
	static const char *const GOOD[] = {"[]", "[[\"x\", 1]]", "[[\"x\", 1], [\"y\", 9007199254740991]]"};
	static const char *const BAD[] = {"{}", "[1]", "[[]]", "[[\"x\"]]", "[[\"\", 1]]", "[[\"x\", 0]]", "[[\"x\", \"1\"]]",
					  "[[1, 1]]", "[[\"x\", 1, 1]]", "[[\"x\", 9007199254740992]]", "null"};
	for (size_t i = 0; i < sizeof(GOOD) / sizeof(GOOD[0]); i++)
		assert_int_equal(parse_inventory(GOOD[i]), 0);
	for (size_t i = 0; i < sizeof(BAD) / sizeof(BAD[0]); i++) {
		if (parse_inventory(BAD[i]) != ERR_INVALID)
			fail_msg("taken: %s", BAD[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lease_request_round_trip),
		cmocka_unit_test(test_lease_request_keeps_its_bounds),
		cmocka_unit_test(test_lease_answer_round_trip),
		cmocka_unit_test(test_lease_answer_has_every_status),
		cmocka_unit_test(test_lease_answer_that_is_none_is_refused),
		cmocka_unit_test(test_commit_round_trip),
		cmocka_unit_test(test_commit_keeps_its_bounds),
		cmocka_unit_test(test_commit_of_too_many_is_too_big),
		cmocka_unit_test(test_commit_answer_round_trip),
		cmocka_unit_test(test_inventory_checks_its_pairs),
	};
	return cmocka_run_group_tests_name("lease_messages", tests, NULL, NULL);
}
