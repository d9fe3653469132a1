/* Checks that several configurations share; of the shape that struct config_key.check wants. */
#pragma once

#include "base/err.h"

/* error, warn, info, debug. */
int config_check_log_level(const char *name, struct err *err) MUST_CHECK;

/* What can stand in an Authorization header. */
int config_check_token(const char *token, struct err *err) MUST_CHECK;
