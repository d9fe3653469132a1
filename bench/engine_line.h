/* A connection to a container engine for one call at a time, with waiting: each of the driver's threads has its own. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

struct engine_line {
	int fd;
	struct buf answer; /* of the last call: headers and what came of the body */
	size_t body_at;
};

int engine_line_open(struct engine_line *line, const char *socket_path, struct err *err) MUST_CHECK;
void engine_line_close(struct engine_line *line);

/* Sends a request, its body NULL for none, and waits for the answer's headers. ERR_PROTOCOL for another status than one of
 * 200 to 299, with what the engine said. */
int engine_line_ask(struct engine_line *line, const char *method, const char *path, const char *body, struct err *err)
	MUST_CHECK;

/* Waits for the rest of the answer, and returns its body's text. NULL with err set. Must follow an ask before the next. */
const char *engine_line_rest(struct engine_line *line, struct err *err);
