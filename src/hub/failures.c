/* Owns the form and the number of a task's remembered failures. Called by the queue of tasks and by the API; never asks Redis. */
#include "hub/failures.h"

#include "base/base64.h"
#include "base/cleanup.h"
#include "base/json.h"

#include <stdlib.h>
#include <string.h>

static bool continues(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

/* How many bytes are left when a character that was cut at the end goes. */
static size_t whole_characters(const char *text, size_t len)
{
	size_t at = len;
	while (at > 0 && len - at < 3 && continues(text[at - 1]))
		at--;
	if (at == 0 || ((unsigned char)text[at - 1] & 0xc0) != 0xc0)
		return len; /* no character begins there */
	unsigned char lead = (unsigned char)text[at - 1];
	size_t needs = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
	return len - (at - 1) < needs ? at - 1 : len;
}

static json_t *base64_of(const char *bytes, size_t len)
{
	struct buf coded;
	buf_init(&coded, len / 3 * 4 + 4);
	json_t *text = base64_encode(&coded, bytes, len) ? NULL : json_string(buf_text(&coded));
	buf_done(&coded);
	return text;
}

/* As text where it is some, else as `item_base64`. */
static int set_item(json_t *object, const struct failure *failure)
{
	size_t len = failure->item_len < FAILURE_ITEM ? failure->item_len : FAILURE_ITEM;
	bool cut = failure->item_bytes > (int64_t)len;
	size_t whole = cut ? whole_characters(failure->item, len) : len;
	bool has_nul = memchr(failure->item, '\0', len) != NULL;
	json_t *text = has_nul ? NULL : json_stringn(failure->item, whole); /* NULL too where it is no UTF-8 */
	if (text)
		return json_object_set_new(object, "item", text);
	return json_object_set_new(object, "item_base64", base64_of(failure->item, len));
}

/* The end of it, from the beginning of a character on. */
static json_t *tail_of(const json_t *text)
{
	const char *tail = json_string_value(text);
	size_t len = json_string_length(text);
	if (!tail)
		return json_null();
	size_t skip = len > FAILURE_TAIL ? len - FAILURE_TAIL : 0;
	while (skip > 0 && skip < len && continues(tail[skip]))
		skip++;
	return json_stringn(tail + skip, len - skip);
}

/* What a node said may be anything. */
static json_t *copy_of(const json_t *error, const char *name, bool (*fits)(const json_t *value))
{
	json_t *value = json_object_get(error, name);
	return value && fits(value) ? json_copy(value) : json_null();
}

static bool is_string(const json_t *value)
{
	return json_is_string(value);
}

static bool is_integer(const json_t *value)
{
	return json_is_integer(value);
}

static json_t *form(const struct failure *failure, int64_t now_wall_ms)
{
	AUTO_JSON json_t *error = json_loads(failure->error ? failure->error : "", 0, NULL);
	json_t *object = json_pack("{s:I, s:o, s:o, s:o, s:o, s:b, s:o, s:I, s:I, s:b}", "at_ms", (json_int_t)now_wall_ms, "node",
				   copy_of(error, "node", is_string), "hostname", copy_of(error, "hostname", is_string), "reason",
				   copy_of(error, "reason", is_string), "exit_status", copy_of(error, "exit_status", is_integer),
				   "out_of_memory", json_is_true(json_object_get(error, "out_of_memory")), "log_tail",
				   tail_of(json_object_get(error, "log_tail")), "item_bytes", (json_int_t)failure->item_bytes,
				   "attempts", (json_int_t)failure->attempts, "dead", (int)failure->dead);
	if (object && set_item(object, failure)) {
		json_decref(object);
		return NULL;
	}
	return object;
}

void failures_note(json_t **list, const struct failure *failure, int64_t now_wall_ms)
{
	if (!*list)
		*list = json_array();
	if (!*list || json_array_append_new(*list, form(failure, now_wall_ms)))
		return;
	while (json_array_size(*list) > FAILURES_KEPT)
		(void)json_array_remove(*list, 0);
}

json_t *failures_last(const json_t *list, size_t most)
{
	json_t *last = json_array();
	size_t count = json_array_size(list);
	for (size_t i = count > most ? count - most : 0; last && i < count; i++) {
		if (json_array_append(last, json_array_get(list, i))) {
			json_decref(last);
			return NULL;
		}
	}
	return last;
}
