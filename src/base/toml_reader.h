/* Reads a TOML document (toml.io, version 1.0) and hands its top-level keys on, one by one. The parsing is toml++'s;
 * this is the small C face of it. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum toml_type { TOML_STRING, TOML_INTEGER, TOML_BOOLEAN, TOML_STRINGS, TOML_OTHER };

/* One `key = value`; the strings live as long as the callback runs. */
struct toml_value {
	const char *key;
	int line; /* from 1 */
	enum toml_type type;
	const char *type_name; /* for messages: "string", "integer", "array", … */
	union {
		const char *string;
		int64_t integer;
		bool boolean;
		struct {
			const char *const *items;
			size_t count;
		} strings; /* an array that holds strings alone */
	};
};

/* Called for each key in the order of the file; what it returns other than 0 ends the reading. */
typedef int toml_on_value(void *context, const struct toml_value *value);

/* Returns 0, what the callback returned, or ERR_INVALID with "line L, column C: what is wrong" in err. */
int toml_read(const char *text, size_t len, toml_on_value *on_value, void *context, struct err *err) MUST_CHECK;

#ifdef __cplusplus
}
#endif
