/* Names of images go into paths of Engine calls: none that passes may change the path. */
#include "fuzz.h"

#include "node/runtime/image_name.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = malloc(size + 1);
	assert(text);
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	struct image_name name;
	struct err err = {0};
	if (image_name_parse(text, &name, &err) == 0) {
		assert(!strpbrk(name.full, "?#% \t\r\n\\") && !strstr(name.full, "..") && name.full[0] != '/');
		assert(*name.repository && *name.reference && *name.registry);
	}
	free(text);
	return 0;
}
