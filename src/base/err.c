/* Owns the forming of error texts. Called by everybody; never logs and never allocates. */
#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void set_text(struct err *err, const char *format, va_list args) __attribute__((format(printf, 2, 0)));

static void set_text(struct err *err, const char *format, va_list args)
{
	(void)vsnprintf(err->text, sizeof(err->text), format, args);
}

int err_set(struct err *err, enum err_code code, const char *format, ...)
{
	if (err) {
		va_list args;
		va_start(args, format);
		err->code = code;
		set_text(err, format, args);
		va_end(args);
	}
	return code;
}

int err_wrap(struct err *err, const char *format, ...)
{
	if (!err)
		return ERR_INTERNAL;

	char inner[ERR_TEXT_MAX];
	memcpy(inner, err->text, sizeof(inner));

	va_list args;
	va_start(args, format);
	set_text(err, format, args);
	va_end(args);

	size_t len = strlen(err->text);
	(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", inner);
	return err->code;
}

static enum err_code code_of_errno(int error_number)
{
	switch (error_number) {
	case ENOMEM:
		return ERR_NOMEM;
	case ENOENT:
		return ERR_NOT_FOUND;
	case EEXIST:
		return ERR_EXISTS;
	case EACCES:
	case EPERM:
	case EROFS:
		return ERR_DENIED;
	case ENOSPC:
	case EDQUOT:
		return ERR_NO_SPACE;
	case ECONNREFUSED:
	case EHOSTUNREACH:
	case ENETUNREACH:
		return ERR_UNREACHABLE;
	case ETIMEDOUT:
		return ERR_TIMEOUT;
	case EFBIG:
		return ERR_TOO_BIG;
	default:
		return ERR_IO;
	}
}

int err_from_errno(struct err *err, int error_number, const char *format, ...)
{
	enum err_code code = code_of_errno(error_number);
	if (err) {
		va_list args;
		va_start(args, format);
		err->code = code;
		set_text(err, format, args);
		va_end(args);
		size_t len = strlen(err->text);
		(void)snprintf(err->text + len, sizeof(err->text) - len, ": %s", strerror(error_number));
	}
	return code;
}
