/* What nodes tell the hub, and what a hub tells nodes: a taken message can be written again. */
#include "fuzz.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "proto/node_messages.h"
#include "proto/task_config.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	AUTO_JSON json_t *object = NULL;
	struct err err = {0};
	struct register_message registration;
	struct heartbeat_message heartbeat;
	struct task_config config;
	if (json_parse_object((const char *)data, size, &object, &err))
		return 0;
	if (register_message_parse(object, &registration, &err) == 0) {
		AUTO_JSON json_t *again = register_message_encode(&registration);
		int rc = again ? register_message_parse(again, &registration, &err) : -1;
		assert(rc == 0);
		(void)rc;
	}
	if (heartbeat_message_parse(object, &heartbeat, &err) == 0) {
		AUTO_JSON json_t *again = heartbeat_message_encode(&heartbeat);
		int rc = again ? heartbeat_message_parse(again, &heartbeat, &err) : -1;
		assert(rc == 0);
		(void)rc;
	}
	(void)!task_config_parse(object, &config, &err);
	task_config_done(&config);
	return 0;
}
