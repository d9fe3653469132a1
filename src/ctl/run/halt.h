/* --halt: when a run gives up because of how its items end. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum halt_when { HALT_NEVER, HALT_SOON, HALT_NOW };
enum halt_why { HALT_FAIL, HALT_SUCCESS, HALT_DONE };

struct halt {
	enum halt_when when;
	enum halt_why why;
	int64_t count;  /* so many items; 0 where it is a percentage */
	double percent; /* of those that have ended, once 3 of them count */
};

/* "never", "soon,fail=1", "now,fail=10%", "now,success=1", "soon,done=30"; "0", "1", "2" as GNU parallel has them. */
int halt_parse(const char *text, struct halt *halt, struct err *err) MUST_CHECK;

/* What to do after so many items ended well and so many failed. */
enum halt_when halt_decide(const struct halt *halt, int64_t good, int64_t failed);
