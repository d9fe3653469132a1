/* Protects the reading of bodies: what does not parse has a position, what does not fit is named, nothing is quoted. */
#include "base/json.h"

#include "fault.h"
#include "support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *text)
{
	json_t *object = NULL;
	struct err err = {0};
	if (json_parse_object(text, strlen(text), &object, &err))
		fail_msg("%s: %s", text, err.text);
	return object;
}

static void assert_refused(const char *text, size_t len, const char *reason)
{
	json_t *object = NULL;
	struct err err = {0};
	if (json_parse_object(text, len, &object, &err) != ERR_INVALID)
		fail_msg("%.*s was taken", (int)len, text);
	assert_null(object);
	assert_contains(err.text, reason);
	assert_lacks(err.text, "hunter2");
}

static void test_json_malformed_text_has_a_position(void **state)
{
	(void)state;
	assert_refused("", 0, "line 1, column 0");
	assert_refused("{\"a\": 1,\n \"b\": hunter2}", 22, "line 2, column ");
	assert_refused("{\"a\": \"hunter2", 14, "line 1, column ");
	assert_refused("{\"a\": 1} hunter2", 16, "line 1, column ");
	assert_refused("{\"a\": 1}}", 9, "line 1, column ");
	assert_refused("{'a': 1}", 8, "line 1, column ");
	assert_refused("{\"a\": 1,}", 9, "line 1, column ");
	assert_refused("{\"a\": 01}", 9, "line 1, column ");
	assert_refused("{\"a\": \"\xff hunter2\"}", 17, "malformed JSON");
	assert_refused("{\"a\": \"x\\u0000hunter2\"}", 23, "malformed JSON");
	assert_refused("{\"a\\u0000b\": 1}", 15, "malformed JSON");
	assert_refused("{\"a\":\0 1}", 9, "malformed JSON");
	assert_refused("{\"a\": 99999999999999999999999}", 30, "malformed JSON");
	assert_refused("{\"a\": 1e999}", 12, "malformed JSON");
}

static void test_json_duplicates_and_deep_nesting_are_refused(void **state)
{
	(void)state;
	assert_refused("{\"a\": 1, \"a\": 2}", 16, "malformed JSON");
	static char deep[100001];
	memset(deep, '[', sizeof(deep) - 1);
	assert_refused(deep, sizeof(deep) - 1, "malformed JSON");
	for (size_t i = 0; i + 5 < sizeof(deep); i += 5)
		memcpy(deep + i, "{\"a\":", 5);
	assert_refused(deep, sizeof(deep) - 1, "malformed JSON");
}

static void test_json_body_must_be_an_object(void **state)
{
	(void)state;
	static const char *const OTHERS[] = {"[]", "1", "\"text\"", "null", "true"};
	for (size_t i = 0; i < sizeof(OTHERS) / sizeof(OTHERS[0]); i++)
		assert_refused(OTHERS[i], strlen(OTHERS[i]), "must be a JSON object");
}

struct values {
	const char *text;
	json_int_t number;
	bool flag;
	json_t *map, *list, *any;
};

static int read_values(const char *text, struct values *values, bool strict, struct err *err)
{
	const struct json_field fields[] = {
		{.name = "text", .type = JSON_FIELD_STRING, .into = &values->text, .required = true, .max_len = 5},
		{.name = "number", .type = JSON_FIELD_INTEGER, .into = &values->number, .min = 1, .max = 10},
		{.name = "flag", .type = JSON_FIELD_BOOLEAN, .into = &values->flag},
		{.name = "map", .type = JSON_FIELD_STRING_MAP, .into = &values->map},
		{.name = "list", .type = JSON_FIELD_STRINGS, .into = &values->list},
		{.name = "any", .type = JSON_FIELD_ANY, .into = &values->any},
	};
	json_t *object = parse(text);
	int rc = json_read_fields(object, fields, sizeof(fields) / sizeof(fields[0]), strict, err);
	/* What is borrowed is gone with the object: the tests look at a copy of the text. */
	static char copy[64];
	if (values->text && values->text != copy) {
		(void)snprintf(copy, sizeof(copy), "%s", values->text);
		values->text = copy;
	}
	json_decref(object);
	return rc;
}

static void test_json_read_fields_fills_what_is_there(void **state)
{
	(void)state;
	struct values values = {.number = 7};
	assert_int_equal(read_values("{\"text\": \"five5\"}", &values, true, NULL), 0);
	assert_string_equal(values.text, "five5");
	assert_int_equal(values.number, 7); /* absent: as it was */

	assert_int_equal(read_values("{\"text\": \"\", \"number\": 10, \"flag\": true, \"map\": {\"a\": \"b\"}, \"list\": [\"x\"],"
				     " \"any\": [1, {}]}",
				     &values, true, NULL),
			 0);
	assert_int_equal(values.number, 10);
	assert_true(values.flag);
	assert_non_null(values.map);
	assert_non_null(values.list);
	assert_non_null(values.any);
}

static void test_json_null_is_as_good_as_absent(void **state)
{
	(void)state;
	struct values values = {.number = 7};
	assert_int_equal(read_values("{\"text\": \"a\", \"number\": null, \"map\": null, \"any\": null}", &values, true, NULL), 0);
	assert_int_equal(values.number, 7);
	assert_null(values.map);
	struct err err = {0};
	assert_int_equal(read_values("{\"text\": null}", &values, true, &err), ERR_INVALID);
	assert_string_equal(err.text, "field \"text\" is missing");
}

static void test_json_read_fields_names_what_does_not_fit(void **state)
{
	(void)state;
	static const struct {
		const char *body;
		const char *text;
	} CASES[] = {
		{"{}", "field \"text\" is missing"},
		{"{\"text\": 1}", "field \"text\" must be a string"},
		{"{\"text\": \"longer\"}", "field \"text\" is longer than 5 bytes"},
		{"{\"text\": \"\xc3\xa9\xc3\xa9\xc3\xa9\"}", "field \"text\" is longer than 5 bytes"},
		{"{\"text\": \"a\", \"number\": \"1\"}", "field \"number\" must be an integer"},
		{"{\"text\": \"a\", \"number\": 1.0}", "field \"number\" must be an integer"},
		{"{\"text\": \"a\", \"number\": 0}", "field \"number\" must be from 1 to 10"},
		{"{\"text\": \"a\", \"number\": 11}", "field \"number\" must be from 1 to 10"},
		{"{\"text\": \"a\", \"number\": -9223372036854775808}", "field \"number\" must be from 1 to 10"},
		{"{\"text\": \"a\", \"flag\": 1}", "field \"flag\" must be true or false"},
		{"{\"text\": \"a\", \"map\": []}", "field \"map\" must be an object whose values are strings"},
		{"{\"text\": \"a\", \"map\": {\"a\": 1}}", "field \"map\" must be an object whose values are strings"},
		{"{\"text\": \"a\", \"list\": \"x\"}", "field \"list\" must be an array of strings"},
		{"{\"text\": \"a\", \"list\": [\"x\", null]}", "field \"list\" must be an array of strings"},
		{"{\"text\": \"a\", \"other\": 1}", "unknown field \"other\""},
	};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		struct values values = {0};
		struct err err = {0};
		assert_int_equal(read_values(CASES[i].body, &values, true, &err), ERR_INVALID);
		assert_string_equal(err.text, CASES[i].text);
	}
}

static void test_json_unknown_fields_pass_where_not_strict(void **state)
{
	(void)state;
	struct values values = {0};
	assert_int_equal(read_values("{\"text\": \"a\", \"other\": 1}", &values, false, NULL), 0);
}

static void test_json_set_text_sets_text_or_null(void **state)
{
	(void)state;
	json_t *object = json_object();
	assert_int_equal(json_set_text(object, "a", "x"), 0);
	assert_int_equal(json_set_text(object, "b", NULL), 0);
	assert_int_equal(json_set_text(object, "c", "\xff"), ERR_NOMEM); /* no JSON can hold it */
	char *text = json_dumps(object, JSON_COMPACT);
	assert_string_equal(text, "{\"a\":\"x\",\"b\":null}");
	free(text);
	json_decref(object);
}

static void test_json_lossy_string_takes_any_bytes(void **state)
{
	(void)state;
	static const char *const CASES[][2] = {
		{"plain", "plain"}, {"\xe4\xb8\xad", "\xe4\xb8\xad"}, {"a\xff\xc3\xa9z", "a???z"}, {"", ""}, {"\xe4\xb8", "??"}};
	for (size_t i = 0; i < sizeof(CASES) / sizeof(CASES[0]); i++) {
		json_t *text = json_lossy_string(CASES[i][0]);
		assert_string_equal(json_string_value(text), CASES[i][1]);
		json_decref(text);
	}
	json_t *none = json_lossy_string(NULL);
	assert_true(json_is_null(none));
	json_decref(none);
}

static void test_json_without_memory_fails_cleanly(void **state)
{
	(void)state;
	static const char TEXT[] = "{\"text\": \"abc\", \"map\": {\"a\": \"b\"}, \"list\": [\"x\", \"y\"], \"number\": 3}";
	unsigned n = 0;
	bool reached;
	do {
		json_t *object = NULL;
		struct err err = {0};
		fault_arm(++n);
		int rc = json_parse_object(TEXT, sizeof(TEXT) - 1, &object, &err);
		reached = fault_disarm();
		assert_true(rc == 0 || reached);
		assert_int_equal(rc == 0, object != NULL);
		json_decref(object);
	} while (reached);
	assert_true(n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_json_malformed_text_has_a_position),
		cmocka_unit_test(test_json_duplicates_and_deep_nesting_are_refused),
		cmocka_unit_test(test_json_body_must_be_an_object),
		cmocka_unit_test(test_json_read_fields_fills_what_is_there),
		cmocka_unit_test(test_json_null_is_as_good_as_absent),
		cmocka_unit_test(test_json_read_fields_names_what_does_not_fit),
		cmocka_unit_test(test_json_unknown_fields_pass_where_not_strict),
		cmocka_unit_test(test_json_set_text_sets_text_or_null),
		cmocka_unit_test(test_json_lossy_string_takes_any_bytes),
		cmocka_unit_test(test_json_without_memory_fails_cleanly),
	};
	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
