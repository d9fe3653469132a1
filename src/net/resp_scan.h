/* Where a RESP2 message ends, and whether it keeps to the limits: of resp.c alone. */
#pragma once

#include "net/resp.h"

struct resp_scan {
	const struct resp_limits *limits;
	size_t pos;        /* bytes of the message that were looked at and understood */
	size_t line_pos;   /* where the search for the end of the present line goes on */
	size_t values;     /* met, arrays counted too */
	size_t text_bytes; /* of all strings, with a NUL each */
	unsigned depth;    /* of arrays that are not complete */
	size_t missing[RESP_MAX_DEPTH]; /* elements that each of them still lacks */
};

/* Ready for the first byte of a message. */
void resp_scan_init(struct resp_scan *scan, const struct resp_limits *limits);

/* Goes on in the message that begins at bytes, of which len are there (all that were there before, and more). *complete:
 * the message is whole and pos bytes long. The bytes may have moved between calls. */
int resp_scan(struct resp_scan *scan, const char *bytes, size_t len, bool *complete, struct err *err) MUST_CHECK;
