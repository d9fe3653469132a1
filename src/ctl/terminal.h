/* The terminal that an output goes to, if it is one, and questions to the person before it. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct terminal {
	bool is_one;
	bool colors; /* a terminal that knows them, and $NO_COLOR is not set */
	int columns; /* 0: as wide as the text wants */
};

void terminal_look(struct terminal *terminal, int fd);

/* Asks on the controlling terminal and reads one line without its end; a secret is not echoed. ERR_STATE where there is no
 * terminal. */
int terminal_ask(const char *question, bool secret, struct buf *answer, struct err *err) MUST_CHECK;
