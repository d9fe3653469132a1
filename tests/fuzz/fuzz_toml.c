/* The text of a configuration file: every key is handed on once, or the error has a position. */
#include "fuzz.h"

#include "base/toml_reader.h"

#include <assert.h>
#include <string.h>

static int on_value(void *context, const struct toml_value *value)
{
	size_t *sum = context;
	*sum += strlen(value->key) + strlen(value->type_name);
	assert(value->line > 0);
	if (value->type == TOML_STRING)
		*sum += strlen(value->string);
	for (size_t i = 0; value->type == TOML_STRINGS && i < value->strings.count; i++)
		*sum += strlen(value->strings.items[i]);
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	size_t sum = 0;
	struct err err = {0};
	int rc = toml_read((const char *)data, size, on_value, &sum, &err);
	assert(rc == 0 || strstr(err.text, "line ") || rc == ERR_NOMEM);
	(void)rc;
	return 0;
}
