/* Owns the strict reading of JSON objects. Called by every reader of a body; never keeps the text, and never puts a value
 * into a message. */
#include "base/json.h"

#include "base/cleanup.h"

#include <string.h>

int json_parse_object(const char *text, size_t len, json_t **object, struct err *err)
{
	json_error_t error;
	AUTO_JSON json_t *value = json_loadb(text, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
	if (!value) {
		/* jansson adds "near '…'", which would echo the body: what comes before it is the cause. */
		char *near = strstr(error.text, " near ");
		if (near)
			*near = '\0';
		return err_set(err, ERR_INVALID, "malformed JSON at line %d, column %d: %s", error.line, error.column,
			       error.text);
	}
	if (!json_is_object(value))
		return err_set(err, ERR_INVALID, "the body must be a JSON object");
	*object = steal(value);
	return 0;
}

static const char *const EXPECTED[] = {
	[JSON_FIELD_STRING] = "a string",
	[JSON_FIELD_INTEGER] = "an integer",
	[JSON_FIELD_BOOLEAN] = "true or false",
	[JSON_FIELD_STRING_MAP] = "an object whose values are strings",
	[JSON_FIELD_STRINGS] = "an array of strings",
	[JSON_FIELD_ANY] = "a value",
};

static bool is_string_map(json_t *value)
{
	const char *key;
	json_t *item;
	if (!json_is_object(value))
		return false;
	json_object_foreach(value, key, item) {
		if (!json_is_string(item))
			return false;
	}
	return true;
}

static bool is_strings(json_t *value)
{
	size_t i;
	json_t *item;
	if (!json_is_array(value))
		return false;
	json_array_foreach(value, i, item) {
		if (!json_is_string(item))
			return false;
	}
	return true;
}

static bool has_type(json_t *value, enum json_field_type type)
{
	switch (type) {
	case JSON_FIELD_STRING:
		return json_is_string(value);
	case JSON_FIELD_INTEGER:
		return json_is_integer(value);
	case JSON_FIELD_BOOLEAN:
		return json_is_boolean(value);
	case JSON_FIELD_STRING_MAP:
		return is_string_map(value);
	case JSON_FIELD_STRINGS:
		return is_strings(value);
	case JSON_FIELD_ANY:
		return true;
	}
	return false;
}

static int check_bounds(const struct json_field *field, json_t *value, struct err *err)
{
	if (field->type == JSON_FIELD_STRING && field->max_len && json_string_length(value) > field->max_len)
		return err_set(err, ERR_INVALID, "field \"%s\" is longer than %zu bytes", field->name, field->max_len);
	if (field->type == JSON_FIELD_INTEGER && (field->min || field->max)) {
		json_int_t n = json_integer_value(value);
		if (n < field->min || n > field->max)
			return err_set(err, ERR_INVALID, "field \"%s\" must be from %lld to %lld", field->name,
				       (long long)field->min, (long long)field->max);
	}
	return 0;
}

static void store(const struct json_field *field, json_t *value)
{
	switch (field->type) {
	case JSON_FIELD_STRING:
		*(const char **)field->into = json_string_value(value);
		break;
	case JSON_FIELD_INTEGER:
		*(json_int_t *)field->into = json_integer_value(value);
		break;
	case JSON_FIELD_BOOLEAN:
		*(bool *)field->into = json_boolean_value(value);
		break;
	default:
		*(json_t **)field->into = value;
		break;
	}
}

static int read_field(json_t *object, const struct json_field *field, struct err *err)
{
	json_t *value = json_object_get(object, field->name);
	if (!value || json_is_null(value))
		return field->required ? err_set(err, ERR_INVALID, "field \"%s\" is missing", field->name) : 0;
	if (!has_type(value, field->type))
		return err_set(err, ERR_INVALID, "field \"%s\" must be %s", field->name, EXPECTED[field->type]);
	int rc = check_bounds(field, value, err);
	if (!rc)
		store(field, value);
	return rc;
}

static bool is_known(const char *name, const struct json_field *fields, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(fields[i].name, name) == 0)
			return true;
	}
	return false;
}

int json_read_fields(json_t *object, const struct json_field *fields, size_t count, bool strict, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		int rc = read_field(object, &fields[i], err);
		if (rc)
			return rc;
	}
	const char *name;
	json_t *value;
	if (strict) {
		json_object_foreach(object, name, value) {
			if (!is_known(name, fields, count))
				return err_set(err, ERR_INVALID, "unknown field \"%.64s\"", name);
		}
	}
	return 0;
}

json_t *json_lossy_string(const char *bytes)
{
	if (!bytes)
		return json_null();
	json_t *string = json_string(bytes);
	if (string)
		return string;
	AUTO_FREE char *ascii = strdup(bytes);
	for (char *c = ascii; c && *c; c++) {
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	}
	return ascii ? json_string(ascii) : NULL;
}

int json_set_text(json_t *object, const char *name, const char *value)
{
	return json_object_set_new(object, name, value ? json_string(value) : json_null()) ? ERR_NOMEM : 0;
}
