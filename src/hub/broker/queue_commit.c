/* Owns the way of a node's outcomes to Redis. Called by the node plane; never trusts a node: each write is checked by the table
 * again (R11), and what breaks it is a charged failure of its items.
 *
 * One batch becomes at most three calls, sent one behind the other: commit (sets of items with their writes), fail, return. The
 * batch is answered when all are; if one was not answered, the whole is unknown, and the node repeats it, which is harmless. */
#include "hub/broker/queue_parts.h"

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

enum part { PART_COMMIT, PART_FAIL, PART_RETURN, PARTS };

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
	bool *refused_here;   /* … by the table, before Redis was asked */
	struct commit_part parts[PARTS];
	unsigned open;        /* parts not answered yet */
	bool failed;
	struct err err;       /* while failed */
	queue_on_commit *on_done; /* NULL: abandoned */
	void *context;
};

static void commit_free_all(struct queue_commit *commit)
{
	size_t count = commit->batch ? commit_count(commit->batch) : 0;
	for (size_t i = 0; commit->messages && i < count; i++)
		free(commit->messages[i]);
	for (size_t i = 0; i < PARTS; i++)
		free(commit->parts[i].outcomes);
	free(commit->messages);
	free(commit->results);
	free(commit->refused_here);
	commit_free(commit->batch);
	free(commit);
}

/* ---- answers ---- */

static void finish(struct queue_commit *commit)
{
	if (commit->on_done)
		commit->on_done(commit->context, commit->batch, commit->failed ? NULL : commit->results, commit->messages,
				commit->failed ? &commit->err : NULL);
	commit_free_all(commit);
}

static void refuse(struct queue_commit *commit, size_t outcome, const char *message)
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
		refuse(commit, outcome, text->text);
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
static int read_texts(struct queue_commit *commit, enum part part, const struct resp_value *texts)
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

static void on_part(struct commit_part *part, enum part which, const struct resp_value *reply, const struct err *err)
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
		if (which == PART_COMMIT && reply->count > 3 && reply->elements[3].len > 0)
			log_error(commit->queue->subject, "a checked write was refused by Redis all the same: %s",
				  reply->elements[3].text);
	}
	if (commit->open == 0)
		finish(commit);
}

static void on_commit(void *context, const struct resp_value *reply, const struct err *err)
{
	on_part(context, PART_COMMIT, reply, err);
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

/* ---- the three calls ---- */

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

static int send_part(struct queue_commit *commit, enum part which, struct script_call *call, enum broker_script script, size_t keys,
		queue_on_reply *on_reply, struct err *err)
{
	struct commit_part *part = &commit->parts[which];
	part->commit = commit;
	part->op = queue_ask(commit->queue, call, script, keys, 0, on_reply, part, err);
	if (!part->op)
		return (int)err->code;
	commit->open++;
	return 0;
}

static int send_commit(struct queue_commit *commit, const char *holder, struct err *err)
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
	return send_part(commit, PART_COMMIT, &call, SCRIPT_COMMIT, 3, on_commit, err);
}

/* What broke the table is charged with that message. */
static int send_fail(struct queue_commit *commit, const char *holder, char *const *errors, struct err *err)
{
	size_t items = items_of(commit, OUTCOME_FAIL);
	struct script_call call;
	if (items == 0)
		return 0;
	queue_call_init(commit->queue, &call);
	script_call_add_text(&call, holder);
	add_rules(commit->queue, &call);
	script_call_add_number(&call, ALONE_MS);
	script_call_add_number(&call, (int64_t)items);
	for (size_t i = 0; i < commit_count(commit->batch); i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		for (size_t k = 0; errors[i] && k < outcome->item_count; k++) {
			script_call_add(&call, outcome->items[k].id, outcome->items[k].id_len);
			script_call_add_number(&call, outcome->items[k].number);
			script_call_add_text(&call, errors[i]);
			script_call_add_number(&call, outcome->together);
		}
	}
	return send_part(commit, PART_FAIL, &call, SCRIPT_FAIL, 2, on_fail, err);
}

static int send_return(struct queue_commit *commit, const char *holder, struct err *err)
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
	return send_part(commit, PART_RETURN, &call, SCRIPT_RETURN, 2, on_return, err);
}

/* ---- what a person reads about a failure ---- */

/* The node's words as one JSON text with who said them and when; NULL without memory. */
static char *error_text(const struct outcome *outcome, const char *message, const char *node, const char *hostname)
{
	char at[RFC3339_SIZE];
	clock_format_rfc3339(clock_wall_ms(), at);
	AUTO_JSON json_t *given = outcome->error_len ? json_loadb(outcome->error, outcome->error_len, 0, NULL) : NULL;
	AUTO_JSON json_t *error = json_is_object(given) ? json_incref(given) : json_object();
	bool failed = !error || (message && json_object_set_new(error, "reason", json_lossy_string(message))) ||
		      json_set_text(error, "node", node) || json_object_set_new(error, "hostname", json_lossy_string(hostname)) ||
		      json_set_text(error, "at", at);
	return failed ? NULL : json_dumps(error, JSON_COMPACT);
}

/* Checks every write, and puts together what is said of each outcome that fails: its text, or NULL for the others. */
static char **check(struct queue_commit *commit, const char *node, const char *hostname)
{
	const struct task_spec *spec = &commit->queue->task->spec;
	const struct write_targets targets = {.input_queue = spec->input_queue, .output_queue = spec->output_queue};
	size_t count = commit_count(commit->batch);
	char **errors = calloc(count + 1, sizeof(*errors));
	for (size_t i = 0; errors && i < count; i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		struct err err = {0};
		int rc = 0;
		for (size_t k = 0; k < outcome->write_count && !rc; k++)
			rc = write_command_check(outcome->writes[k].args, outcome->writes[k].count, &targets, &err);
		commit->refused_here[i] = rc != 0;
		if (rc)
			refuse(commit, i, err.text);
		if (outcome->kind == OUTCOME_FAIL || (outcome->kind == OUTCOME_DONE && rc))
			errors[i] = error_text(outcome, rc ? err.text : NULL, node, hostname);
	}
	return errors;
}

static int send_all(struct queue_commit *commit, const char *node, const char *hostname, const char *holder, struct err *err)
{
	size_t count = commit_count(commit->batch);
	char **errors = check(commit, node, hostname);
	int rc = errors ? 0 : err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; !rc && i < count; i++) {
		const struct outcome *outcome = commit_outcome(commit->batch, i);
		bool fails = outcome->kind == OUTCOME_FAIL || (outcome->kind == OUTCOME_DONE && commit->results[i] == OUTCOME_REFUSED);
		if (fails && !errors[i])
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	if (!rc)
		rc = send_commit(commit, holder, err);
	if (!rc)
		rc = send_fail(commit, holder, errors, err);
	if (!rc)
		rc = send_return(commit, holder, err);
	for (size_t i = 0; errors && i < count; i++)
		free(errors[i]);
	free(errors);
	return rc;
}

struct queue_commit *queue_commit(struct queue *queue, const char *node, const char *hostname, int64_t epoch,
				  struct commit_batch *batch, queue_on_commit *on_done, void *context, struct err *err)
{
	char holder[QUEUE_NODE_SIZE + 24];
	char name[QUEUE_NODE_SIZE];
	size_t count = commit_count(batch);
	struct queue_commit *commit = calloc(1, sizeof(*commit));
	if (!commit) {
		commit_free(batch);
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*commit = (struct queue_commit){.queue = queue, .batch = batch, .on_done = on_done, .context = context};
	commit->results = calloc(count + 1, sizeof(*commit->results)); /* all accepted */
	commit->messages = calloc(count + 1, sizeof(*commit->messages));
	queue_node_name(queue, node, name);
	(void)snprintf(holder, sizeof(holder), "%s:%lld", name, (long long)epoch);
	commit->refused_here = calloc(count + 1, sizeof(*commit->refused_here));
	int rc = commit->results && commit->messages && commit->refused_here ? 0 : err_set(err, ERR_NOMEM, "out of memory");
	if (!rc && !redis_link_is_up(queue->link))
		rc = err_set(err, ERR_UNREACHABLE, "%s", redis_link_trouble(queue->link));
	commit->open = 1; /* this call's own, so that nothing ends before all are sent */
	if (!rc)
		rc = send_all(commit, node, hostname, holder, err);
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
		finish(commit); /* refused as a whole: nothing to ask Redis for */
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
