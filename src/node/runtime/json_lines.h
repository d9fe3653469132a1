/* A stream of JSON objects, one a line, as engines send progress and events: bytes in, objects out. */
#pragma once

#include "base/buf.h"

#include <jansson.h>

struct json_lines {
	struct buf line; /* what came of a line that is not complete yet */
};

/* max_line bounds a line, and so the memory. */
void json_lines_init(struct json_lines *lines, size_t max_line);
void json_lines_done(struct json_lines *lines);

/* Called for each object, which is borrowed. Anything but 0 ends the reading. */
typedef int json_lines_on_object(void *context, json_t *object);

/* Returns 0, what the callback returned, ERR_TOO_BIG for a line over the cap, or ERR_INVALID for one that is not a JSON
 * object. Blank lines are passed over. After an error the stream is of no use any more. */
int json_lines_feed(struct json_lines *lines, const char *bytes, size_t len, json_lines_on_object *on_object,
		    void *context) MUST_CHECK;

/* The stream has ended: reads a last line that had no newline. */
int json_lines_finish(struct json_lines *lines, json_lines_on_object *on_object, void *context) MUST_CHECK;
