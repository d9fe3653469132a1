/* What an engine streams: lines of JSON with a pull's progress, and frames of logs; fed in pieces of every size. The first
 * byte says how large the pieces are and which of both it is. */
#include "fuzz.h"

#include "node/runtime/json_lines.h"
#include "node/runtime/log_tail.h"
#include "node/runtime/pull_progress.h"

#include <assert.h>
#include <string.h>

static int on_object(void *context, json_t *object)
{
	struct pull_progress *progress = context;
	int before = progress->percent;
	pull_progress_add(progress, object);
	assert(progress->percent >= before && progress->percent <= 100);
	(void)before;
	assert(memchr(progress->text, '\0', sizeof(progress->text)));
	return 0;
}

static void feed_lines(const char *bytes, size_t size, size_t piece)
{
	static struct pull_progress progress;
	struct json_lines lines;
	pull_progress_init(&progress);
	json_lines_init(&lines, 4096);
	int rc = 0;
	for (size_t at = 0; at < size && !rc; at += piece)
		rc = json_lines_feed(&lines, bytes + at, size - at < piece ? size - at : piece, on_object, &progress);
	if (!rc)
		(void)!json_lines_finish(&lines, on_object, &progress);
	json_lines_done(&lines);
}

static void feed_log(const char *bytes, size_t size, size_t piece, bool raw)
{
	struct log_tail tail;
	log_tail_init(&tail, 100, raw);
	int rc = 0;
	for (size_t at = 0; at < size && !rc; at += piece)
		rc = log_tail_feed(&tail, bytes + at, size - at < piece ? size - at : piece);
	const char *text = log_tail_text(&tail);
	assert(strlen(text) <= 100);
	for (; *text; text++)
		assert((unsigned char)*text >= 0x20 || *text == '\n' || *text == '\t');
	log_tail_done(&tail);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 1)
		return 0;
	size_t piece = 1 + data[0] / 4;
	const char *bytes = (const char *)data + 1;
	if (data[0] % 4 < 2)
		feed_lines(bytes, size - 1, piece);
	else
		feed_log(bytes, size - 1, piece, data[0] % 4 == 3);
	return 0;
}
