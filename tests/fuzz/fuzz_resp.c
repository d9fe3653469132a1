/* RESP2 of strangers: the first byte chooses the limits and how the rest is cut. However it is cut, the same messages
 * come out, and the same end. */
#include "fuzz.h"

#include "net/resp.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct resp_limits LIMITS[] = {
	{.max_depth = 7, .max_elements = 64, .max_values = 256, .max_bulk = 512, .max_line = 64, .max_message = 2048,
	 .max_pipelined = 1 << 20},
	{.requests_only = true, .max_depth = 1, .max_elements = 16, .max_values = 17, .max_bulk = 64, .max_line = 64,
	 .max_message = 512, .max_pipelined = 1 << 20},
};

static void write_value(struct buf *out, const struct resp_value *value)
{
	int rc = 0;
	assert(value->text && value->text[value->len] == '\0');
	switch (value->type) {
	case RESP_NIL: rc = resp_add_nil(out); break;
	case RESP_INTEGER: rc = resp_add_integer(out, value->integer); break;
	case RESP_BULK:
	case RESP_STATUS:
	case RESP_ERROR: rc = resp_add_bulk(out, value->text, value->len); break;
	case RESP_ARRAY:
		rc = resp_add_array(out, value->count);
		for (size_t i = 0; i < value->count; i++)
			write_value(out, &value->elements[i]);
		break;
	}
	assert(rc == 0);
}

static int read_all(const struct resp_limits *limits, const char *bytes, size_t len, size_t piece, struct buf *out)
{
	struct resp_reader *reader = resp_reader_new(limits);
	assert(reader);
	int rc = 0;
	for (size_t at = 0; at < len && !rc; at += piece) {
		const struct resp_value *value = NULL;
		rc = resp_reader_feed(reader, bytes + at, len - at < piece ? len - at : piece, NULL);
		while (!rc && !(rc = resp_reader_next(reader, &value, NULL)) && value)
			write_value(out, value);
	}
	resp_reader_free(reader);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 2)
		return 0;
	const struct resp_limits *limits = &LIMITS[data[0] & 1];
	size_t piece = 1 + (data[0] >> 1);
	struct buf whole;
	struct buf pieces;
	buf_init(&whole, SIZE_MAX / 2);
	buf_init(&pieces, SIZE_MAX / 2);
	int rc_whole = read_all(limits, (const char *)data + 1, size - 1, size, &whole);
	int rc_pieces = read_all(limits, (const char *)data + 1, size - 1, piece, &pieces);
	assert(rc_whole == rc_pieces && whole.len == pieces.len);
	assert(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
