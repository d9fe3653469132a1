/* Owns the rule of --halt. Called for the command line, and after each change of the counts; ends nothing itself. */
#include "ctl/run/halt.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { PERCENT_FROM = 3 }; /* the first items alone are no percentage of anything */

static bool read_amount(const char *text, struct halt *halt)
{
	char *end = NULL;
	size_t digits = strspn(text, "0123456789.");
	errno = 0;
	if (digits > 0 && strcmp(text + digits, "%") == 0) {
		halt->percent = strtod(text, &end);
		return *end == '%' && halt->percent > 0 && halt->percent <= 100;
	}
	halt->count = strtoll(text, &end, 10);
	return text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0 && halt->count > 0;
}

static bool read_reason(const char *text, struct halt *halt)
{
	static const char *const NAMES[] = {[HALT_FAIL] = "fail=", [HALT_SUCCESS] = "success=", [HALT_DONE] = "done="};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		size_t len = strlen(NAMES[i]);
		if (strncmp(text, NAMES[i], len) != 0)
			continue;
		halt->why = (enum halt_why)i;
		return read_amount(text + len, halt);
	}
	return false;
}

int halt_parse(const char *text, struct halt *halt, struct err *err)
{
	*halt = (struct halt){0};
	if (strcmp(text, "never") == 0 || strcmp(text, "0") == 0)
		return 0;
	if (strcmp(text, "1") == 0 || strcmp(text, "2") == 0) {
		*halt = (struct halt){.when = *text == '1' ? HALT_SOON : HALT_NOW, .why = HALT_FAIL, .count = 1};
		return 0;
	}
	bool soon = strncmp(text, "soon,", 5) == 0;
	halt->when = soon ? HALT_SOON : HALT_NOW;
	if ((soon || strncmp(text, "now,", 4) == 0) && read_reason(strchr(text, ',') + 1, halt))
		return 0;
	*halt = (struct halt){0};
	return err_set(err, ERR_INVALID,
		       "--halt must be never, or soon or now with a reason, as soon,fail=1 or now,fail=10%%, not \"%.64s\"", text);
}

enum halt_when halt_decide(const struct halt *halt, int64_t good, int64_t failed)
{
	int64_t counted = halt->why == HALT_FAIL ? failed : halt->why == HALT_SUCCESS ? good : good + failed;
	if (halt->when == HALT_NEVER)
		return HALT_NEVER;
	bool reached = halt->count ? counted >= halt->count
				   : counted >= PERCENT_FROM && (double)counted * 100 >= halt->percent * (double)(good + failed);
	return reached ? halt->when : HALT_NEVER;
}
