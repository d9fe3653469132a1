/* Owns the forms of results. Called by main for each command that succeeded; never changes a byte of an item or an output: what is
 * no text goes into JSON as base64 (RFC 4648, section 4). */
#include "exec/result.h"

#include "base/base64.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Microseconds since 1970 have 16 digits. */
enum { REAL_DIGITS = 16, MICROSECONDS = 1000000 };

/* object[name], or object[name + "_base64"] for what JSON has no string for. */
static int set_bytes(json_t *object, const char *name, const char *base64_name, const char *bytes, size_t len)
{
	json_t *text = len && memchr(bytes, '\0', len) ? NULL : json_stringn(len ? bytes : "", len);
	if (text)
		return json_object_set_new(object, name, text);
	struct buf coded;
	buf_init(&coded, len / 3 * 4 + 4);
	int rc = base64_encode(&coded, bytes, len);
	if (!rc)
		rc = json_object_set_new(object, base64_name, json_string(buf_text(&coded)));
	buf_done(&coded);
	return rc ? -1 : 0;
}

static json_t *seqs_of(const struct result *result)
{
	json_t *seqs = json_array();
	for (size_t i = 0; seqs && i < result->count; i++) {
		if (json_array_append_new(seqs, json_integer(result->items[i].seq))) {
			json_decref(seqs);
			return NULL;
		}
	}
	return seqs;
}

static int set_items(json_t *object, const struct result *result)
{
	const struct item *first = result->items;
	if (result->count == 1) {
		if (first->has_seq && json_object_set_new(object, "seq", json_integer(first->seq)))
			return -1;
		return set_bytes(object, "item", "item_base64", first->bytes, first->len);
	}
	if (first->has_seq && json_object_set_new(object, "seqs", seqs_of(result)))
		return -1;
	return json_object_set_new(object, "items", json_integer((json_int_t)result->count));
}

static json_t *time_of(double seconds)
{
	return json_real(round(seconds * MICROSECONDS) / MICROSECONDS);
}

/* A number, as the agent gives it; text if it is none. */
static json_t *instance_of(const char *text)
{
	char *end = NULL;
	long number = text ? strtol(text, &end, 10) : 0;
	return !text ? json_null() : *text && !*end ? json_integer(number) : json_string(text);
}

static json_t *node_of(const char *text)
{
	return text ? json_string(text) : json_null();
}

static int64_t attempt_of(const struct result *result)
{
	int64_t failures = 0;
	for (size_t i = 0; i < result->count; i++)
		failures = result->items[i].failures > failures ? result->items[i].failures : failures;
	return failures + 1;
}

static int fill(json_t *object, const struct result *result, const struct result_place *place)
{
	return set_items(object, result) || set_bytes(object, "result", "result_base64", result->output, result->output_len) ||
	       json_object_set_new(object, "exit", json_integer(0)) || /* what fails is no result */
	       json_object_set_new(object, "seconds", time_of(result->seconds)) ||
	       json_object_set_new(object, "started", time_of(result->started)) ||
	       json_object_set_new(object, "node", node_of(place->node)) ||
	       json_object_set_new(object, "instance", instance_of(place->instance)) ||
	       json_object_set_new(object, "attempt", json_integer(attempt_of(result)));
}

struct sink {
	struct buf *out;
	int rc;
};

static int on_json(const char *bytes, size_t len, void *context)
{
	struct sink *sink = context;
	sink->rc = buf_add(sink->out, bytes, len);
	return sink->rc ? -1 : 0;
}

static int write_json(struct buf *out, const struct result *result, const struct result_place *place)
{
	struct sink sink = {.out = out};
	json_t *object = json_object();
	int rc = object && !fill(object, result, place) ? 0 : ERR_NOMEM;
	if (!rc && json_dump_callback(object, on_json, &sink, JSON_REAL_PRECISION(REAL_DIGITS)))
		rc = sink.rc ? sink.rc : ERR_NOMEM;
	json_decref(object);
	return rc;
}

/* Several items stand one behind the other, as GNU parallel writes them. */
static int write_tag(struct buf *out, const struct result *result)
{
	int rc = 0;
	for (size_t i = 0; !rc && i < result->count; i++) {
		rc = i ? buf_add(out, " ", 1) : 0;
		if (!rc)
			rc = buf_add(out, result->items[i].bytes, result->items[i].len);
	}
	return rc ? rc : buf_add(out, "\t", 1);
}

int result_write(struct buf *out, enum result_format format, const struct result *result, const struct result_place *place)
{
	if (format == RESULT_JSON)
		return write_json(out, result, place);
	int rc = format == RESULT_TAG ? write_tag(out, result) : 0;
	return rc ? rc : buf_add(out, result->output, result->output_len);
}
