/* Owns the splitting of a byte stream into JSON objects. Called by the image pull and the event stream. Never does more
 * than that: no sockets, no logging, no memory past its cap. */
#include "node/runtime/json_lines.h"

#include "base/cleanup.h"
#include "base/json.h"

#include <string.h>

void json_lines_init(struct json_lines *lines, size_t max_line)
{
	buf_init(&lines->line, max_line);
}

void json_lines_done(struct json_lines *lines)
{
	buf_done(&lines->line);
}

static int read_line(const char *text, size_t len, json_lines_on_object *on_object, void *context)
{
	if (strspn(text, " \t\r") >= len)
		return 0;
	AUTO_JSON json_t *object = NULL;
	int rc = json_parse_object(text, len, &object, NULL);
	return rc ? rc : on_object(context, object);
}

int json_lines_feed(struct json_lines *lines, const char *bytes, size_t len, json_lines_on_object *on_object,
		    void *context)
{
	while (len > 0) {
		const char *newline = memchr(bytes, '\n', len);
		size_t part = newline ? (size_t)(newline - bytes) : len;
		int rc = buf_add(&lines->line, bytes, part);
		if (rc)
			return rc;
		if (!newline)
			return 0;
		rc = read_line(buf_text(&lines->line), lines->line.len, on_object, context);
		if (rc)
			return rc;
		buf_clear(&lines->line);
		bytes += part + 1;
		len -= part + 1;
	}
	return 0;
}

int json_lines_finish(struct json_lines *lines, json_lines_on_object *on_object, void *context)
{
	int rc = read_line(buf_text(&lines->line), lines->line.len, on_object, context);
	buf_clear(&lines->line);
	return rc;
}
