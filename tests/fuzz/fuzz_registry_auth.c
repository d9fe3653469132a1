/* Docker's config.json, which people edit: no entry may do harm, and no error may tell a password. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "node/runtime/registry_auth.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *object = NULL;
	struct err err = {0};
	if (json_parse_object((const char *)data, size, &object, &err))
		return 0;
	static const char *const REGISTRIES[] = {"docker.io", "registry.example.org", "localhost:5000"};
	for (size_t i = 0; i < 3; i++) {
		struct registry_auth auth = {0};
		(void)!registry_auth_read(&auth, object, REGISTRIES[i], &err);
		registry_auth_done(&auth);
	}
	return 0;
}
