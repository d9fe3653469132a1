/* A commit on its way, shared by the files that work on it: queue_commit.c (its life), queue_commit_calls.c (what is asked of
 * Redis), queue_commit_answers.c (what Redis said). Nobody else includes this. */
#pragma once

#include "hub/broker/queue_parts.h"

enum commit_part_kind { PART_COMMIT, PART_FAIL, PART_RETURN, PARTS };

struct queue_commit;

/* One of the calls under way. */
struct commit_part {
	struct queue_commit *commit;
	struct queue_op *op;
	size_t *outcomes; /* for each text of the answer: which outcome it is about */
	size_t count;
};

struct queue_commit {
	struct queue *queue;
	struct commit_batch *batch;
	enum outcome_result *results;
	char **messages;      /* of refused outcomes */
	char **errors;        /* of outcomes that fail: what people read */
	char node[LIMIT_NODE_ID + 1];
	char hostname[LIMIT_HOSTNAME + 1];
	bool *refused_here;   /* … by the table, before Redis was asked */
	struct commit_part parts[PARTS];
	unsigned open;        /* parts not answered yet */
	bool failed;
	struct err err;       /* while failed */
	queue_on_commit *on_done; /* NULL: abandoned */
	void *context;
};

/* ---- queue_commit.c ---- */

/* Every part is answered: tells whoever asked, and frees it. */
void commit_finish(struct queue_commit *commit);

/* What people read about an outcome that failed: the node's words, or `message`, with who said them and when, as JSON text. NULL
 * without memory. */
char *commit_error_text(const struct queue_commit *commit, const struct outcome *outcome, const char *message);

/* ---- queue_commit_answers.c ---- */

void commit_refuse(struct queue_commit *commit, size_t outcome, const char *message);
/* What Redis says to each part; the context is a struct commit_part. */
extern queue_on_reply *const COMMIT_ON_REPLY[PARTS];

/* ---- queue_commit_failures.c ---- */

/* What the scripts say of failures of that part, for people. */
void commit_note_failures(struct queue_commit *commit, enum commit_part_kind part, const struct resp_value *glimpses);

/* ---- queue_commit_calls.c ---- */

/* Each sends its part, if there is anything for it. */
int commit_send_sets(struct queue_commit *commit, const char *holder, struct err *err) MUST_CHECK;
int commit_send_fails(struct queue_commit *commit, const char *holder, struct err *err) MUST_CHECK;
int commit_send_returns(struct queue_commit *commit, const char *holder, struct err *err) MUST_CHECK;
