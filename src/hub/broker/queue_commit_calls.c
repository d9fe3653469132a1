/* Owns the three calls that a batch becomes: commit (sets of items with their writes), fail, return. Called by queue_commit.c; reads
 * no answer. */
#include "hub/broker/queue_commit_parts.h"

#include "base/random.h"

#include <stdlib.h>

static size_t items_of(const struct queue_commit *commit, enum outcome_kind kind)
{
	size_t items = 0;
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		bool refused_done = outcome->kind == OUTCOME_DONE && commit->results[i] == OUTCOME_REFUSED;
		if ((outcome->kind == kind && !refused_done) || (kind == OUTCOME_FAIL && refused_done))
			items += outcome->item_count;
	}
	return items;
}

static void add_rules(const struct queue *queue, struct script_call *call)
{
	script_call_add_number(call, queue->task->spec.max_attempts);
	script_call_add_number(call, queue->owner->able_nodes(queue->owner->context, queue) > 1);
	script_call_add_number(call, AVOID_MS);
}

static void add_pairs(struct script_call *call, const struct outcome *outcome)
{
	for (size_t i = 0; i < outcome->item_count; i++) {
		script_call_add(call, outcome->items[i].id, outcome->items[i].id_len);
		script_call_add_number(call, outcome->items[i].number);
	}
}

static void add_set(struct script_call *call, const struct outcome *outcome)
{
	script_call_add_number(call, (int64_t)outcome->item_count);
	if (outcome->kind == OUTCOME_WRITE)
		script_call_add_number(call, outcome->number);
	add_pairs(call, outcome);
	script_call_add_number(call, (int64_t)outcome->write_count);
	for (size_t i = 0; i < outcome->write_count; i++) {
		const struct outcome_write *write = &outcome->writes[i];
		script_call_add_number(call, (int64_t)write->count);
		for (size_t k = 0; k < write->count; k++)
			script_call_add(call, write->args[k].bytes, write->args[k].len);
	}
}

static bool is_set(const struct queue_commit *commit, size_t i)
{
	enum outcome_kind kind = commit_outcome(commit->batch, i)->kind;
	return (kind == OUTCOME_DONE || kind == OUTCOME_WRITE) && commit->results[i] != OUTCOME_REFUSED;
}

static int send_part(struct queue_commit *commit, enum commit_part_kind which, struct script_call *call,
		     enum broker_script script, size_t keys, struct err *err)
{
	struct commit_part *part = &commit->parts[which];
	part->commit = commit;
	part->op = queue_ask(commit->queue, call, script, keys, 0, COMMIT_ON_REPLY[which], part, err);
	if (!part->op)
		return (int)err->code;
	commit->open++;
	return 0;
}

int commit_send_sets(struct queue_commit *commit, const char *holder, struct err *err)
{
	struct queue *queue = commit->queue;
	struct commit_part *part = &commit->parts[PART_COMMIT];
	struct script_call call;
	char seed[TOKEN_SIZE];
	size_t count = commit_count(commit->batch);
	part->outcomes = calloc(count + 1, sizeof(*part->outcomes));
	if (!part->outcomes)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		if (is_set(commit, i))
			part->outcomes[part->count++] = i;
	}
	if (part->count == 0)
		return 0;
	random_token(seed);
	queue_call_init(queue, &call);
	script_call_add_text(&call, queue->task->spec.output_queue ? queue->task->spec.output_queue : "");
	script_call_add_text(&call, holder);
	add_rules(queue, &call);
	script_call_add_number(&call, queue->task->spec.require_result);
	script_call_add_text(&call, queue->destination);
	script_call_add_text(&call, seed);
	script_call_add_number(&call, (int64_t)part->count);
	for (size_t i = 0; i < part->count; i++)
		add_set(&call, commit_outcome(commit->batch, part->outcomes[i]));
	return send_part(commit, PART_COMMIT, &call, SCRIPT_COMMIT, 3, err);
}

/* What broke the table is charged with that message. */
int commit_send_fails(struct queue_commit *commit, const char *holder, struct err *err)
{
	size_t items = items_of(commit, OUTCOME_FAIL);
	struct script_call call;
	if (items == 0)
		return 0;
	queue_call_init(commit->queue, &call);
	script_call_add_text(&call, holder);
	add_rules(commit->queue, &call);
	script_call_add_number(&call, commit->queue->task->spec.exec.command ? EXEC_ALONE_MS : ALONE_MS);
	script_call_add_number(&call, (int64_t)items);
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		for (size_t k = 0; commit->errors[i] && k < outcome->item_count; k++) {
			script_call_add(&call, outcome->items[k].id, outcome->items[k].id_len);
			script_call_add_number(&call, outcome->items[k].number);
			script_call_add_text(&call, commit->errors[i]);
			script_call_add_number(&call, outcome->together);
		}
	}
	return send_part(commit, PART_FAIL, &call, SCRIPT_FAIL, 2, err);
}

int commit_send_returns(struct queue_commit *commit, const char *holder, struct err *err)
{
	size_t items = items_of(commit, OUTCOME_RETURN);
	struct script_call call;
	if (items == 0)
		return 0;
	queue_call_init(commit->queue, &call);
	script_call_add_text(&call, holder);
	script_call_add_number(&call, (int64_t)items);
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		if (outcome->kind == OUTCOME_RETURN)
			add_pairs(&call, outcome);
	}
	return send_part(commit, PART_RETURN, &call, SCRIPT_RETURN, 2, err);
}
