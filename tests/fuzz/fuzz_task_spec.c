/* The body of POST /api/tasks: whatever is taken must come back as it went, and never show a password. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "proto/task_config.h"
#include "proto/task_spec.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *object = NULL;
	struct task_spec spec = {0};
	struct err err = {0};
	if (json_parse_object((const char *)data, size, &object, &err) == 0 && task_spec_parse(object, &spec, &err) == 0) {
		struct task_spec again;
		AUTO_JSON json_t *stored = task_spec_to_json(&spec, false);
		AUTO_JSON json_t *shown = task_spec_to_json(&spec, true);
		assert(stored && shown);
		int rc = task_spec_parse(stored, &again, &err);
		assert(rc == 0);
		(void)rc;
		task_spec_done(&again);

		AUTO_JSON json_t *config = task_config_encode(&spec, "id", "linux/amd64", false, spec.delivery);
		struct task_config read = {0};
		assert(config);
		if (json_is_object(config)) {
			rc = task_config_parse(config, &read, &err);
			assert(rc == 0);
		}
		task_config_done(&read);
	}
	task_spec_done(&spec);
	return 0;
}
