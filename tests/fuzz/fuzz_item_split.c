/* Bodies of pushes: the first byte chooses the form and how the rest is cut. However it is cut, the same items come out, and the same
 * end; none is larger than it may be. */
#include "fuzz.h"

#include "proto/item_split.h"

#include <assert.h>
#include <string.h>

enum { ITEM_MAX = 40 };

static int read_all(enum item_end end, const char *bytes, size_t len, size_t piece, struct buf *out)
{
	struct item_split split;
	int rc = 0;
	item_split_init(&split, end, ITEM_MAX, len);
	for (size_t at = 0; at <= len && !rc; at += piece) {
		size_t part = len - at < piece ? len - at : piece;
		const char *item = NULL;
		size_t item_len = 0;
		rc = item_split_feed(&split, bytes + at, part);
		if (part < piece)
			item_split_end(&split);
		while (!rc && !(rc = item_split_next(&split, &item, &item_len, NULL)) && item) {
			assert(item_len <= ITEM_MAX);
			rc = buf_printf(out, "%zu:", item_len);
			assert(rc == 0 && buf_add(out, item, item_len) == 0);
		}
		item_split_drop(&split);
	}
	assert(rc == 0 || rc == ERR_TOO_BIG || rc == ERR_PROTOCOL);
	assert(rc != 0 || item_split_left(&split) == 0);
	item_split_done(&split);
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	enum item_end end = (enum item_end)(data[0] & 3);
	size_t piece = 1 + (data[0] >> 2);
	struct buf whole;
	struct buf pieces;
	buf_init(&whole, SIZE_MAX / 2);
	buf_init(&pieces, SIZE_MAX / 2);
	int rc_whole = read_all(end, (const char *)data + 1, size - 1, size, &whole);
	int rc_pieces = read_all(end, (const char *)data + 1, size - 1, piece, &pieces);
	assert(rc_whole == rc_pieces && whole.len == pieces.len);
	assert(whole.len == 0 || memcmp(whole.data, pieces.data, whole.len) == 0);
	buf_done(&whole);
	buf_done(&pieces);
	return 0;
}
