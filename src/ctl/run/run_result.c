/* Owns the reading of a result. Called by the run for each that arrives; pure. */
#include "ctl/run/run_result.h"

#include "base/base64.h"

#include <stdlib.h>
#include <string.h>

static int broken(struct err *err, const char *what)
{
	return err_set(err, ERR_PROTOCOL, "a result is none of gridctl run's: %s", what);
}

/* NULL where it is no base64, or without memory. */
static char *decode(const char *text, size_t len, size_t *decoded_len)
{
	struct buf bytes;
	buf_init(&bytes, len);
	if (base64_decode(&bytes, text, len)) {
		buf_done(&bytes);
		return NULL;
	}
	*decoded_len = bytes.len;
	return buf_steal(&bytes);
}

/* A field that is text under its name, or bytes under the name with "_base64". Absent: "". */
static int read_bytes(struct run_result *result, const char *name, const char *coded_name, char **owned, const char **bytes,
		      size_t *len)
{
	json_t *plain = json_object_get(result->object, name);
	json_t *coded = json_object_get(result->object, coded_name);
	*bytes = "";
	*len = 0;
	if (json_is_string(plain)) {
		*bytes = json_string_value(plain);
		*len = json_string_length(plain);
	} else if (json_is_string(coded)) {
		*owned = decode(json_string_value(coded), json_string_length(coded), len);
		*bytes = *owned;
	}
	return *bytes ? 0 : ERR_PROTOCOL;
}

static int read_numbers(struct run_result *result, struct err *err)
{
	json_t *seqs = json_object_get(result->object, "seqs");
	size_t i;
	json_t *seq;
	result->items = 1;
	result->seq = json_integer_value(json_object_get(result->object, "seq"));
	if (seqs) {
		result->batch = true;
		result->seqs = seqs;
		result->items = json_array_size(seqs);
		result->seq = INT64_MAX;
		json_array_foreach(seqs, i, seq) {
			if (json_integer_value(seq) < result->seq)
				result->seq = json_integer_value(seq);
		}
	}
	return result->items > 0 && result->seq > 0 ? 0 : broken(err, "it has no number");
}

int run_result_read(struct run_result *result, const char *line, size_t len, struct err *err)
{
	*result = (struct run_result){.object = json_loadb(line, len, JSON_ALLOW_NUL, NULL)};
	if (!json_is_object(result->object))
		return broken(err, "it is no JSON object");
	int rc = read_numbers(result, err);
	if (rc)
		return rc;
	if (read_bytes(result, "item", "item_base64", &result->decoded[0], &result->item, &result->item_len) ||
	    read_bytes(result, "result", "result_base64", &result->decoded[1], &result->output, &result->output_len))
		return broken(err, "its base64 is wrong");
	const char *node = json_string_value(json_object_get(result->object, "node"));
	result->node = node ? node : "";
	result->exit_status = (int)json_integer_value(json_object_get(result->object, "exit"));
	result->seconds = json_number_value(json_object_get(result->object, "seconds"));
	result->started = json_number_value(json_object_get(result->object, "started"));
	result->attempt = (int)json_integer_value(json_object_get(result->object, "attempt"));
	return 0;
}

void run_result_done(struct run_result *result)
{
	json_decref(result->object);
	free(result->decoded[0]);
	free(result->decoded[1]);
	*result = (struct run_result){0};
}

int64_t run_result_seq(const struct run_result *result, size_t index)
{
	return result->seqs ? json_integer_value(json_array_get(result->seqs, index)) : result->seq;
}

struct run_lines run_result_lines(const struct run_result *result)
{
	return (struct run_lines){result->output, result->output + result->output_len};
}

bool run_lines_next(struct run_lines *lines, const char **line, size_t *len)
{
	if (lines->at == lines->end)
		return false;
	const char *newline = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	*line = lines->at;
	lines->at = newline ? newline + 1 : lines->end;
	*len = (size_t)(lines->at - *line);
	return true;
}

bool run_result_has_lines(const struct run_result *result)
{
	struct run_lines lines = run_result_lines(result);
	const char *line;
	size_t len;
	size_t count = 0;
	while (count <= result->items && run_lines_next(&lines, &line, &len))
		count++;
	return count == result->items;
}
