/* Owns the checks of values that mean the same in every program. Called through the tables of configuration keys. */
#include "base/config_checks.h"

#include "base/log.h"

int config_check_log_level(const char *name, struct err *err)
{
	enum log_level level;
	return log_level_parse(name, &level) ? 0 : err_set(err, ERR_INVALID, "must be error, warn, info or debug");
}

int config_check_token(const char *token, struct err *err)
{
	for (const unsigned char *c = (const unsigned char *)token; *c; c++) {
		if (*c <= 0x20 || *c >= 0x7f)
			return err_set(err, ERR_INVALID, "must be printable ASCII without spaces");
	}
	return 0;
}
