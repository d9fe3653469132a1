/* Owns the way of a node's outcomes to Redis. Called by the node plane; never trusts a node: each write is checked by the table
 * again (R11), and what breaks it is a charged failure of its items.
 *
 * One batch becomes at most three calls, sent one behind the other: commit (sets of items with their writes), fail, return. The
 * batch is answered when all are; if one was not answered, the whole is unknown, and the node repeats it, which is harmless. */
#include "hub/broker/queue_commit_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void commit_free_all(struct queue_commit *commit)
{
	size_t count = commit->batch ? commit_count(commit->batch) : 0;
	for (size_t i = 0; commit->messages && i < count; i++)
		free(commit->messages[i]);
	for (size_t i = 0; commit->errors && i < count; i++)
		free(commit->errors[i]);
	for (size_t i = 0; i < PARTS; i++)
		free(commit->parts[i].outcomes);
	free(commit->messages);
	free(commit->errors);
	free(commit->results);
	free(commit->refused_here);
	commit_free(commit->batch);
	free(commit);
}

void commit_finish(struct queue_commit *commit)
{
	if (commit->on_done)
		commit->on_done(commit->context, commit->batch, commit->failed ? NULL : commit->results, commit->messages,
				commit->failed ? &commit->err : NULL);
	if (!commit->failed && !commit->queue->output)
		commit->queue->owner->on_results(commit->queue->owner->context, commit->queue);
	commit_free_all(commit);
}

/* ---- what a person reads about a failure ---- */

char *commit_error_text(const struct queue_commit *commit, const struct outcome *outcome, const char *message)
{
	char at[RFC3339_SIZE];
	clock_format_rfc3339(clock_wall_ms(), at);
	AUTO_JSON json_t *given = outcome->error_len ? json_loadb(outcome->error, outcome->error_len, 0, NULL) : NULL;
	AUTO_JSON json_t *error = json_is_object(given) ? json_incref(given) : json_object();
	bool failed = !error || (message && json_object_set_new(error, "reason", json_lossy_string(message))) ||
		      json_set_text(error, "node", commit->node) ||
		      json_object_set_new(error, "hostname", json_lossy_string(commit->hostname)) ||
		      json_set_text(error, "at", at);
	return failed ? NULL : json_dumps(error, JSON_COMPACT);
}

/* Checks every write, and puts together what is said of each outcome that fails. */
static void check(struct queue_commit *commit)
{
	const struct task_spec *spec = &commit->queue->task->spec;
	const struct write_targets targets = {.input_queue = spec->input_queue, .output_queue = spec->output_queue};
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		struct err err = {0};
		int rc = 0;
		for (size_t k = 0; k < outcome->write_count && !rc; k++)
			rc = write_command_check(outcome->writes[k].args, outcome->writes[k].count, &targets, &err);
		commit->refused_here[i] = rc != 0;
		if (rc)
			commit_refuse(commit, i, err.text);
		if (outcome->kind == OUTCOME_FAIL || (outcome->kind == OUTCOME_DONE && rc))
			commit->errors[i] = commit_error_text(commit, outcome, rc ? err.text : NULL);
	}
}

/* Whether every outcome that fails has its text. */
static bool has_errors(const struct queue_commit *commit)
{
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		enum outcome_kind kind = commit_outcome(commit->batch, i)->kind;
		bool fails = kind == OUTCOME_FAIL || (kind == OUTCOME_DONE && commit->refused_here[i]);
		if (fails && !commit->errors[i])
			return false;
	}
	return true;
}

static int send_all(struct queue_commit *commit, int64_t epoch, struct err *err)
{
	char name[QUEUE_NODE_SIZE];
	char holder[QUEUE_NODE_SIZE + 24];
	queue_node_name(commit->queue, commit->node, name);
	(void)snprintf(holder, sizeof(holder), "%s:%lld", name, (long long)epoch);
	check(commit);
	int rc = has_errors(commit) ? commit_send_sets(commit, holder, err) : err_set(err, ERR_NOMEM, "out of memory");
	if (!rc)
		rc = commit_send_fails(commit, holder, err);
	if (!rc)
		rc = commit_send_returns(commit, holder, err);
	return rc;
}

/* Takes the batch, also without memory. */
static struct queue_commit *new_commit(struct queue *queue, struct commit_batch *batch, queue_on_commit *on_done, void *context)
{
	size_t count = commit_count(batch);
	struct queue_commit *commit = calloc(1, sizeof(*commit));
	if (!commit) {
		commit_free(batch);
		return NULL;
	}
	*commit = (struct queue_commit){.queue = queue, .batch = batch, .on_done = on_done, .context = context};
	commit->results = calloc(count + 1, sizeof(*commit->results)); /* all accepted */
	commit->messages = calloc(count + 1, sizeof(*commit->messages));
	commit->errors = calloc(count + 1, sizeof(*commit->errors));
	commit->refused_here = calloc(count + 1, sizeof(*commit->refused_here));
	if (commit->results && commit->messages && commit->errors && commit->refused_here)
		return commit;
	commit_free_all(commit);
	return NULL;
}

struct queue_commit *queue_commit(struct queue *queue, const char *node, const char *hostname, int64_t epoch,
				  struct commit_batch *batch, queue_on_commit *on_done, void *context, struct err *err)
{
	struct queue_commit *commit = new_commit(queue, batch, on_done, context);
	if (!commit) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	text_copy(commit->node, sizeof(commit->node), node);
	text_copy(commit->hostname, sizeof(commit->hostname), hostname);
	commit->open = 1; /* this call's own, so that nothing ends before all are sent */
	int rc = redis_link_is_up(queue->link) ? send_all(commit, epoch, err)
					       : err_set(err, ERR_UNREACHABLE, "%s", redis_link_trouble(queue->link));
	commit->open--;
	if (rc && commit->open > 0) {
		commit->failed = true; /* a part is on its way: what is told of it goes nowhere, and the node repeats the whole */
		commit->on_done = NULL;
		return NULL;
	}
	if (rc) {
		commit_free_all(commit);
		return NULL;
	}
	if (commit->open == 0) {
		commit_finish(commit); /* refused as a whole: nothing to ask Redis for */
		return NULL;
	}
	if (queue->output)
		queue_pump(queue);
	return commit;
}

void queue_commit_abandon(struct queue_commit *commit)
{
	if (commit)
		commit->on_done = NULL;
}
