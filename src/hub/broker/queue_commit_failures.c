/* Owns what is remembered of a batch's failures for people who ask why. Called when a part of it was answered; decides nothing. */
#include "hub/broker/queue_commit_parts.h"

#include "base/cleanup.h"

#include <stdlib.h>

enum { PARTS_OF_GLIMPSE = 5 }; /* number in the call, beginning of the payload, its length, attempts, dead */

/* The outcome that the item with this number (from 1) in the call of failures belongs to; the count where there is none. */
static size_t outcome_of_item(const struct queue_commit *commit, int64_t number)
{
	size_t i = 0;
	for (; i < commit_count(commit->batch); i++) {
		int64_t items = commit->errors[i] ? (int64_t)commit_outcome(commit->batch, i)->item_count : 0;
		if (number <= items)
			break;
		number -= items;
	}
	return i;
}

static size_t outcome_of_set(const struct queue_commit *commit, int64_t number)
{
	const struct commit_part *sets = &commit->parts[PART_COMMIT];
	return number >= 1 && (size_t)number <= sets->count ? sets->outcomes[number - 1] : commit_count(commit->batch);
}

static void note(struct queue_commit *commit, size_t i, const struct resp_value *part)
{
	AUTO_FREE char *refused = NULL;
	if (!commit->errors[i]) /* Redis refused its writes */
		refused = commit_error_text(commit, commit_outcome(commit->batch, i), commit->messages[i]);
	const struct failure failure = {.item = part[1].text,
					.item_len = part[1].len,
					.item_bytes = part[2].integer,
					.error = refused ? refused : commit->errors[i],
					.attempts = part[3].integer,
					.dead = part[4].integer != 0};
	commit->queue->owner->on_failure(commit->queue->owner->context, commit->queue, &failure);
}

void commit_note_failures(struct queue_commit *commit, enum commit_part_kind part, const struct resp_value *glimpses)
{
	for (size_t k = 0; glimpses && k + PARTS_OF_GLIMPSE <= glimpses->count; k += PARTS_OF_GLIMPSE) {
		const struct resp_value *glimpse = &glimpses->elements[k];
		size_t i = part == PART_FAIL ? outcome_of_item(commit, glimpse[0].integer) : outcome_of_set(commit, glimpse[0].integer);
		if (i < commit_count(commit->batch))
			note(commit, i, glimpse);
	}
}
