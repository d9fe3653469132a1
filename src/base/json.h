/* JSON bodies, read strictly: a position for what does not parse, and a table of fields that names what is missing,
 * unknown or of the wrong type. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/* The whole text must be one object. ERR_INVALID with "line L, column C: …"; nesting and duplicates are bounded and
 * refused. The caller owns the reference. */
int json_parse_object(const char *text, size_t len, json_t **object, struct err *err) MUST_CHECK;

enum json_field_type {
	JSON_FIELD_STRING,     /* const char **, borrowed from the object */
	JSON_FIELD_INTEGER,    /* json_int_t *, within min … max */
	JSON_FIELD_BOOLEAN,    /* bool * */
	JSON_FIELD_STRING_MAP, /* json_t **, borrowed: an object whose values are strings */
	JSON_FIELD_STRINGS,    /* json_t **, borrowed: an array of strings */
	JSON_FIELD_ANY,        /* json_t **, borrowed */
};

struct json_field {
	const char *name;
	enum json_field_type type;
	void *into; /* left as it is where the field is absent or null */
	bool required;
	json_int_t min, max;    /* of an integer; both 0: not bounded */
	size_t max_len;         /* of a string, in bytes; 0: not bounded */
};

/* Fills what is there. With `strict`, a field that no row names is an error too. */
int json_read_fields(json_t *object, const struct json_field *fields, size_t count, bool strict, struct err *err)
	MUST_CHECK;

/* A JSON string of bytes that somebody else chose: where they are not UTF-8, every byte beyond ASCII becomes '?'. JSON null
 * for NULL. A new reference; NULL without memory. */
json_t *json_lossy_string(const char *bytes);

/* Sets object[name]: the string or, for NULL, null. Takes part in chains: returns 0 or ERR_NOMEM. */
int json_set_text(json_t *object, const char *name, const char *value) MUST_CHECK;
