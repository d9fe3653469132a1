/* A lease's answer, as a node reads it, and a batch of outcomes, as the hub does: what is taken is whole and within its bounds. The
 * first byte chooses. */
#include "fuzz.h"

#include "proto/lease_messages.h"
#include "proto/limits.h"

#include <assert.h>

static volatile unsigned char sink;

static void touch(const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		sink = (unsigned char)(sink ^ (unsigned char)bytes[i]);
}

static void on_item(void *context, const struct leased_item *item)
{
	size_t *count = context;
	(*count)++;
	assert(item->id_len > 0 && item->id_len <= LIMIT_ITEM_ID && item->payload_len <= LIMIT_ITEM);
	touch(item->id, item->id_len);
	touch(item->payload, item->payload_len);
}

static void read_outcome(const struct outcome *outcome)
{
	const struct write_targets targets = {.input_queue = "in", .output_queue = "out"};
	struct err err = {0};
	assert((outcome->item_count > 0) == (outcome->kind != OUTCOME_WRITE));
	for (size_t i = 0; i < outcome->item_count; i++) {
		assert(outcome->items[i].number > 0 && outcome->items[i].id_len <= LIMIT_ITEM_ID);
		touch(outcome->items[i].id, outcome->items[i].id_len);
	}
	for (size_t i = 0; i < outcome->write_count; i++) {
		for (size_t k = 0; k < outcome->writes[i].count; k++)
			touch(outcome->writes[i].args[k].bytes, outcome->writes[i].args[k].len);
		(void)!write_command_check(outcome->writes[i].args, outcome->writes[i].count, &targets, &err);
	}
	touch(outcome->error, outcome->error_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct err err = {0};
	const char *bytes = (const char *)data + 1;
	if (size == 0)
		return 0;
	if (data[0] == 'l') {
		struct lease_answer answer;
		size_t count = 0;
		int rc = lease_answer_parse(bytes, size - 1, &answer, on_item, &count, &err);
		assert(count == 0 || rc == 0);
		(void)rc;
		return 0;
	}
	struct commit_batch *batch = commit_parse(bytes, size - 1, &err);
	for (size_t i = 0; batch && i < commit_count(batch); i++)
		read_outcome(commit_outcome(batch, i));
	commit_free(batch);
	return 0;
}
