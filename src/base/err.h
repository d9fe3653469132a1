/* Errors: one set of codes for the whole project, and a text that callers extend as it travels up.
 *
 * What can fail returns 0 or one of the negative codes below, and takes a `struct err *` last where a text helps.
 * The text says what happened, to what, and what to do next; it never holds a password or a token. */
#pragma once

#include <stdarg.h>

#ifdef __cplusplus
extern "C" {
#endif

enum err_code {
	ERR_OK = 0,
	ERR_NOMEM = -1,       /* an allocation failed, or a capped buffer is full */
	ERR_INVALID = -2,     /* input that breaks its own rules: bad JSON, a bad URL, a wrong type */
	ERR_TOO_BIG = -3,     /* input over a cap */
	ERR_NOT_FOUND = -4,   /* no such file, node, task, image, container */
	ERR_EXISTS = -5,      /* the name is taken */
	ERR_STATE = -6,       /* not now: nothing waits, nothing runs */
	ERR_DENIED = -7,      /* no permission, or a wrong token */
	ERR_UNREACHABLE = -8, /* nobody answers there */
	ERR_TIMEOUT = -9,     /* nobody answered in time */
	ERR_IO = -10,         /* the system refused a read or a write */
	ERR_NO_SPACE = -11,   /* the disk is full */
	ERR_PROTOCOL = -12,   /* the peer answered something that it should not */
	ERR_CANCELLED = -13,  /* the caller gave up */
	ERR_INTERNAL = -14,   /* a library failed in a way that nothing above explains */
};

enum { ERR_TEXT_MAX = 768 };

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX]; /* one line, cut at the end when too long; "" while code is ERR_OK */
};

/* Fills err (which may be NULL) and returns code, so that `return err_set(…)` reads as one step. */
int err_set(struct err *err, enum err_code code, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Puts context in front: "<context>: <what was there>". Returns the code that err holds. */
int err_wrap(struct err *err, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The code for an errno value, and its text: "<context>: <strerror>". */
int err_from_errno(struct err *err, int error_number, const char *format, ...) __attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif

#define MUST_CHECK __attribute__((warn_unused_result))
