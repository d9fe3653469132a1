/* Owns what Redis' answers mean for a batch's outcomes. Called when a part of it was answered; asks nothing. */
#include "hub/broker/queue_commit_parts.h"

#include "base/log.h"

#include <stdio.h>
#include <string.h>

void commit_refuse(struct queue_commit *commit, size_t outcome, const char *message)
{
	commit->results[outcome] = OUTCOME_REFUSED;
	if (!commit->messages[outcome])
		commit->messages[outcome] = strdup(message); /* without memory: refused without words */
}

/* "ok", "duplicate", "incomplete", or why it was refused. */
static void on_commit_text(struct queue_commit *commit, size_t outcome, const struct resp_value *text)
{
	if (resp_is(text, "ok"))
		return;
	if (resp_is(text, "duplicate") || resp_is(text, "incomplete"))
		commit->results[outcome] = OUTCOME_DUPLICATE;
	else
		commit_refuse(commit, outcome, text->text);
}

static bool are_stale(const struct resp_value *text, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (!resp_is(&text[i], "stale"))
			return false;
	}
	return true;
}

/* A text for each item, in the order of the outcomes. One whose holder had none of its items was told before. */
static int read_fail_texts(struct queue_commit *commit, const struct resp_value *texts)
{
	size_t at = 0;
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		bool refused_done = outcome->kind == OUTCOME_DONE && commit->refused_here[i];
		if (outcome->kind != OUTCOME_FAIL && !refused_done)
			continue;
		if (at + outcome->item_count > texts->count)
			return ERR_PROTOCOL;
		if (outcome->kind == OUTCOME_FAIL && are_stale(&texts->elements[at], outcome->item_count))
			commit->results[i] = OUTCOME_DUPLICATE;
		at += outcome->item_count;
	}
	return 0;
}

/* Returns of what the holder has no more are as good as done: nothing is left to say about it. */
static int read_texts(struct queue_commit *commit, enum commit_part_kind part, const struct resp_value *texts)
{
	struct commit_part *answered = &commit->parts[part];
	if (!texts)
		return ERR_PROTOCOL;
	if (part == PART_FAIL)
		return read_fail_texts(commit, texts);
	if (part == PART_COMMIT && texts->count != answered->count)
		return ERR_PROTOCOL;
	for (size_t i = 0; part == PART_COMMIT && i < texts->count; i++)
		on_commit_text(commit, answered->outcomes[i], &texts->elements[i]);
	return 0;
}

static void fail(struct queue_commit *commit, const struct err *err)
{
	if (!commit->failed)
		commit->err = *err;
	commit->failed = true;
}

static void on_part(struct commit_part *part, enum commit_part_kind which, const struct resp_value *reply, const struct err *err)
{
	struct queue_commit *commit = part->commit;
	part->op = NULL;
	commit->open--;
	commit->queue->clean_settles = 0;
	commit->queue->looked_clean = false; /* look again before it is called settled: something may be in the outbox */
	if (err) {
		fail(commit, err);
	} else {
		struct err strange = {0};
		if (read_texts(commit, which, reply_array(reply, which == PART_RETURN ? 1 : 2))) {
			(void)err_set(&strange, ERR_PROTOCOL, "Redis answered something strange to a commit");
			fail(commit, &strange);
		}
		commit_note_failures(commit, which, reply_array(reply, which == PART_COMMIT ? 4 : 3));
		if (which == PART_COMMIT && reply->count > 3 && reply->elements[3].len > 0)
			log_error(commit->queue->subject, "a checked write was refused by Redis all the same: %s",
				  reply->elements[3].text);
	}
	if (commit->open == 0)
		commit_finish(commit);
}

/* Items can still be given while results cannot be taken, and so people would see nothing but a count that rests. */
static void note_refusal(struct queue *queue, const struct err *err)
{
	if (!err)
		queue->refusal[0] = '\0';
	else if (err->code != ERR_CANCELLED && err->code != ERR_UNREACHABLE && err->code != ERR_TIMEOUT)
		(void)snprintf(queue->refusal, sizeof(queue->refusal), "results wait at the nodes: %s", err->text);
}

static void on_commit(void *context, const struct resp_value *reply, const struct err *err)
{
	struct commit_part *part = context;
	note_refusal(part->commit->queue, err);
	on_part(part, PART_COMMIT, reply, err);
}

static void on_fail(void *context, const struct resp_value *reply, const struct err *err)
{
	struct commit_part *part = context;
	if (!err && reply_number(reply, 1) > 0)
		log_warn(part->commit->queue->subject, "%lld items became dead letters", (long long)reply_number(reply, 1));
	on_part(part, PART_FAIL, reply, err);
}

static void on_return(void *context, const struct resp_value *reply, const struct err *err)
{
	on_part(context, PART_RETURN, reply, err);
}

queue_on_reply *const COMMIT_ON_REPLY[PARTS] = {
	[PART_COMMIT] = on_commit, [PART_FAIL] = on_fail, [PART_RETURN] = on_return};
