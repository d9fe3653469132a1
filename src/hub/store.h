/* The hub's durable state: SQLite in one file. This is the only place that knows SQL.
 *
 * Every change stands between store_begin and store_commit, one transaction per request: what was answered is on disk
 * (against kill -9; a power cut may take the last moments, since WAL with synchronous=NORMAL does not wait for the
 * platter), and what could not be written is refused before anything changed in memory. */
#pragma once

#include "base/err.h"
#include "hub/node.h"
#include "hub/task.h"

struct store;

/* Opens or makes directory/computehub.db and brings its schema up to date. The directory is locked: one hub per state. */
struct store *store_open(const char *directory, struct err *err);
void store_close(struct store *store);

int store_begin(struct store *store, struct err *err) MUST_CHECK;
int store_commit(struct store *store, struct err *err) MUST_CHECK; /* rolls back when it fails */
void store_rollback(struct store *store);

/* Whole rows, new or changed. */
int store_put_task(struct store *store, const struct task *task, struct err *err) MUST_CHECK;
int store_delete_task(struct store *store, const struct task *task, struct err *err) MUST_CHECK;
int store_put_node(struct store *store, const struct node *node, struct err *err) MUST_CHECK;
int store_delete_node(struct store *store, const struct node *node, struct err *err) MUST_CHECK;

/* Named numbers: "task_version". A number never put is 0. */
int store_put_number(struct store *store, const char *name, int64_t value, struct err *err) MUST_CHECK;
int store_get_number(struct store *store, const char *name, int64_t *value, struct err *err) MUST_CHECK;

/* Everything there is; the callback owns what it is given. Tasks come in the order of their positions, completed ones in
 * the order of their completion; nodes in the order in which they first registered. */
int store_load_tasks(struct store *store, void (*each)(void *context, struct task *task), void *context,
		     struct err *err) MUST_CHECK;
int store_load_nodes(struct store *store, void (*each)(void *context, struct node *node), void *context,
		     struct err *err) MUST_CHECK;
