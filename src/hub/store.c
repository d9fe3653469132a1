/* Owns the database and everything that is SQL. Called by tasks and nodes inside one turn of the loop; never keeps
 * state of its own between calls. */
#include "hub/store.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/json.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

enum { BUSY_TIMEOUT_MS = 200 };

/* What a node understands, in the column nodes.leases. */
enum { UNDERSTANDS_LEASES = 1, UNDERSTANDS_EXEC = 2 };

/* Row n brings a database of version n to version n + 1. Rows are only ever added. */
static const char *const MIGRATIONS[] = {
	"CREATE TABLE numbers (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE tasks (id TEXT PRIMARY KEY, position INTEGER NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
	" status TEXT NOT NULL, created_ms INTEGER NOT NULL, started_ms INTEGER NOT NULL,"
	" completed_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE nodes (id TEXT PRIMARY KEY, hostname TEXT NOT NULL, architecture TEXT NOT NULL,"
	" cpu_count INTEGER NOT NULL, slots INTEGER NOT NULL, run TEXT, agent_version TEXT, runtime TEXT,"
	" stop_requested INTEGER NOT NULL, registered_ms INTEGER NOT NULL, seen_ms INTEGER NOT NULL) WITHOUT ROWID;",
	"ALTER TABLE nodes ADD COLUMN leases INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE nodes ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE nodes ADD COLUMN secret_hash TEXT;"
	"ALTER TABLE tasks ADD COLUMN settled INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tasks ADD COLUMN progress TEXT;",
	"ALTER TABLE nodes ADD COLUMN fresh_hash TEXT;",
	"ALTER TABLE tasks ADD COLUMN paused INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE tasks ADD COLUMN purge INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE nodes ADD COLUMN draining INTEGER NOT NULL DEFAULT 0;",
};

enum { SCHEMA_VERSION = sizeof(MIGRATIONS) / sizeof(MIGRATIONS[0]) };

enum statement {
	PUT_TASK,
	DELETE_TASK,
	LOAD_TASKS,
	PUT_NODE,
	DELETE_NODE,
	LOAD_NODES,
	PUT_NUMBER,
	GET_NUMBER,
	STATEMENT_COUNT,
};

static const char *const STATEMENTS[] = {
	[PUT_TASK] = "INSERT INTO tasks VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO UPDATE SET"
		     " status = ?5, started_ms = ?7, completed_ms = ?8, settled = ?9, progress = ?10, paused = ?11, purge = ?12",
	[DELETE_TASK] = "DELETE FROM tasks WHERE id = ?1",
	[LOAD_TASKS] = "SELECT id, position, spec, status, created_ms, started_ms, completed_ms, settled, progress, paused, purge FROM tasks"
		       " ORDER BY completed_ms, position",
	[PUT_NODE] = "INSERT OR REPLACE INTO nodes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16)",
	[DELETE_NODE] = "DELETE FROM nodes WHERE id = ?1",
	[LOAD_NODES] = "SELECT id, hostname, architecture, cpu_count, slots, run, agent_version, runtime,"
		       " stop_requested, registered_ms, seen_ms, leases, epoch, secret_hash, fresh_hash, draining FROM nodes ORDER BY registered_ms, id",
	[PUT_NUMBER] = "INSERT OR REPLACE INTO numbers VALUES (?1, ?2)",
	[GET_NUMBER] = "SELECT value FROM numbers WHERE name = ?1",
};

struct store {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENT_COUNT];
	int lock_fd;
};

static int fail(struct store *store, const char *what, struct err *err)
{
	int code = sqlite3_errcode(store->db);
	enum err_code ours = code == SQLITE_FULL ? ERR_NO_SPACE : code == SQLITE_NOMEM ? ERR_NOMEM : ERR_IO;
	return err_set(err, ours, "cannot %s: %s", what, sqlite3_errmsg(store->db));
}

static int execute(struct store *store, const char *sql, const char *what, struct err *err)
{
	return sqlite3_exec(store->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : fail(store, what, err);
}

/* ---- opening ---- */

static int lock_directory(struct store *store, const char *directory, struct err *err)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/computehub.lock", directory);
	store->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (store->lock_fd < 0)
		return err_from_errno(err, errno, "cannot open %s", path);
	if (flock(store->lock_fd, LOCK_EX | LOCK_NB))
		return err_set(err, ERR_EXISTS, "another computehub uses %s; end it, or give this one a state_dir of its own",
			       directory);
	return 0;
}

static int schema_version(struct store *store, int *version, struct err *err)
{
	sqlite3_stmt *statement = NULL;
	bool ok = sqlite3_prepare_v2(store->db, "PRAGMA user_version", -1, &statement, NULL) == SQLITE_OK &&
		  sqlite3_step(statement) == SQLITE_ROW;
	if (ok)
		*version = sqlite3_column_int(statement, 0);
	(void)sqlite3_finalize(statement);
	return ok ? 0 : fail(store, "read the schema's version", err);
}

static int migrate(struct store *store, struct err *err)
{
	int version = 0;
	int rc = schema_version(store, &version, err);
	if (rc)
		return rc;
	if (version > SCHEMA_VERSION)
		return err_set(err, ERR_INVALID,
			       "the state was written by a newer computehub (schema %d, this one knows %d); use that one",
			       version, SCHEMA_VERSION);
	for (; version < SCHEMA_VERSION; version++) {
		char set_version[64];
		(void)snprintf(set_version, sizeof(set_version), "PRAGMA user_version = %d", version + 1);
		rc = store_begin(store, err);
		if (!rc)
			rc = execute(store, MIGRATIONS[version], "bring the schema up to date", err);
		if (!rc)
			rc = execute(store, set_version, "bring the schema up to date", err);
		if (!rc)
			rc = store_commit(store, err);
		if (rc) {
			store_rollback(store);
			return rc;
		}
	}
	return 0;
}

static int prepare_all(struct store *store, struct err *err)
{
	for (size_t i = 0; i < STATEMENT_COUNT; i++) {
		if (sqlite3_prepare_v3(store->db, STATEMENTS[i], -1, SQLITE_PREPARE_PERSISTENT, &store->statements[i],
				       NULL) != SQLITE_OK)
			return fail(store, "read the state", err);
	}
	return 0;
}

static int open_database(struct store *store, const char *directory, struct err *err)
{
	char path[4096];
	(void)snprintf(path, sizeof(path), "%s/computehub.db", directory);
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	if (sqlite3_open_v2(path, &store->db, flags, NULL) != SQLITE_OK) {
		int rc = fail(store, "open the state", err);
		(void)err_wrap(err, "%s", path);
		return rc;
	}
	(void)sqlite3_busy_timeout(store->db, BUSY_TIMEOUT_MS);
	int rc = execute(store, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL", "open the state", err);
	if (!rc)
		rc = migrate(store, err);
	if (!rc)
		rc = prepare_all(store, err);
	return rc ? err_wrap(err, "%s", path) : 0;
}

struct store *store_open(const char *directory, struct err *err)
{
	struct store *store = calloc(1, sizeof(*store));
	if (!store) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	store->lock_fd = -1;
	mode_t old_mask = umask(0077); /* SQLite makes its files itself, and they hold Redis passwords */
	int rc = file_make_directories(directory, 0700, err);
	if (!rc)
		rc = lock_directory(store, directory, err);
	if (!rc)
		rc = open_database(store, directory, err);
	(void)umask(old_mask);
	if (rc) {
		store_close(store);
		return NULL;
	}
	return store;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	for (size_t i = 0; i < STATEMENT_COUNT; i++)
		(void)sqlite3_finalize(store->statements[i]);
	(void)sqlite3_close(store->db);
	if (store->lock_fd >= 0)
		(void)close(store->lock_fd);
	free(store);
}

/* ---- transactions ---- */

int store_begin(struct store *store, struct err *err)
{
	return execute(store, "BEGIN IMMEDIATE", "write the state", err);
}

int store_commit(struct store *store, struct err *err)
{
	int rc = execute(store, "COMMIT", "write the state", err);
	if (rc)
		store_rollback(store);
	return rc;
}

void store_rollback(struct store *store)
{
	(void)sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL); /* fails only where nothing was begun */
}

/* ---- rows ---- */

static sqlite3_stmt *fresh(struct store *store, enum statement which)
{
	sqlite3_stmt *statement = store->statements[which];
	(void)sqlite3_reset(statement);
	(void)sqlite3_clear_bindings(statement);
	return statement;
}

/* The text must live until the statement was stepped; NULL binds as NULL. */
static void bind_text(sqlite3_stmt *statement, int at, const char *text)
{
	(void)sqlite3_bind_text(statement, at, text, -1, SQLITE_STATIC);
}

static int step_once(struct store *store, sqlite3_stmt *statement, struct err *err)
{
	int code = sqlite3_step(statement);
	int rc = code == SQLITE_DONE ? 0 : fail(store, "write the state", err);
	(void)sqlite3_reset(statement);
	return rc;
}

int store_put_task(struct store *store, const struct task *task, struct err *err)
{
	AUTO_JSON json_t *spec = task_spec_to_json(&task->spec, false);
	AUTO_FREE char *text = spec ? json_dumps(spec, JSON_COMPACT) : NULL;
	if (!text)
		return err_set(err, ERR_NOMEM, "out of memory");
	sqlite3_stmt *statement = fresh(store, PUT_TASK);
	bind_text(statement, 1, task->id);
	(void)sqlite3_bind_int64(statement, 2, task->position);
	bind_text(statement, 3, task->spec.name);
	bind_text(statement, 4, text);
	bind_text(statement, 5, task_status_name(task->status));
	(void)sqlite3_bind_int64(statement, 6, task->created_ms);
	(void)sqlite3_bind_int64(statement, 7, task->started_ms);
	(void)sqlite3_bind_int64(statement, 8, task->completed_ms);
	(void)sqlite3_bind_int(statement, 9, task->settled);
	bind_text(statement, 10, task->progress);
	(void)sqlite3_bind_int(statement, 11, task->paused);
	(void)sqlite3_bind_int(statement, 12, task->purge);
	return step_once(store, statement, err);
}

int store_put_node(struct store *store, const struct node *node, struct err *err)
{
	sqlite3_stmt *statement = fresh(store, PUT_NODE);
	bind_text(statement, 1, node->id);
	bind_text(statement, 2, node->hostname);
	bind_text(statement, 3, node->architecture);
	(void)sqlite3_bind_int64(statement, 4, node->cpu_count);
	(void)sqlite3_bind_int64(statement, 5, node->slots);
	bind_text(statement, 6, node->run);
	bind_text(statement, 7, node->agent_version);
	bind_text(statement, 8, node->runtime);
	(void)sqlite3_bind_int(statement, 9, node->stop_requested);
	(void)sqlite3_bind_int64(statement, 10, node->registered_ms);
	(void)sqlite3_bind_int64(statement, 11, node->seen_wall_ms);
	(void)sqlite3_bind_int(statement, 12, (node->leases ? UNDERSTANDS_LEASES : 0) | (node->exec ? UNDERSTANDS_EXEC : 0));
	(void)sqlite3_bind_int64(statement, 13, node->epoch);
	bind_text(statement, 14, node->secret.hash[0] ? node->secret.hash : NULL);
	bind_text(statement, 15, node->fresh ? node->fresh->hash : NULL);
	(void)sqlite3_bind_int(statement, 16, node->draining);
	return step_once(store, statement, err);
}

static int delete_by_id(struct store *store, enum statement which, const char *id, struct err *err)
{
	sqlite3_stmt *statement = fresh(store, which);
	bind_text(statement, 1, id);
	return step_once(store, statement, err);
}

int store_delete_task(struct store *store, const struct task *task, struct err *err)
{
	return delete_by_id(store, DELETE_TASK, task->id, err);
}

int store_delete_node(struct store *store, const struct node *node, struct err *err)
{
	return delete_by_id(store, DELETE_NODE, node->id, err);
}

int store_put_number(struct store *store, const char *name, int64_t value, struct err *err)
{
	sqlite3_stmt *statement = fresh(store, PUT_NUMBER);
	bind_text(statement, 1, name);
	(void)sqlite3_bind_int64(statement, 2, value);
	return step_once(store, statement, err);
}

int store_get_number(struct store *store, const char *name, int64_t *value, struct err *err)
{
	sqlite3_stmt *statement = fresh(store, GET_NUMBER);
	bind_text(statement, 1, name);
	int code = sqlite3_step(statement);
	*value = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
	int rc = code == SQLITE_ROW || code == SQLITE_DONE ? 0 : fail(store, "read the state", err);
	(void)sqlite3_reset(statement);
	return rc;
}

/* ---- loading ---- */

static const char *column_text(sqlite3_stmt *row, int at)
{
	return (const char *)sqlite3_column_text(row, at);
}

static int read_task(sqlite3_stmt *row, struct task *task, struct err *err)
{
	const char *id = column_text(row, 0);
	const char *spec = column_text(row, 2);
	const char *status = column_text(row, 3);
	AUTO_JSON json_t *object = NULL;
	if (!id || !uuid_is_valid(id) || !spec || !status || !task_status_parse(status, &task->status))
		return err_set(err, ERR_INVALID, "a task's row is damaged");
	int rc = json_parse_object(spec, strlen(spec), &object, err);
	if (!rc)
		rc = task_spec_parse(object, &task->spec, err);
	if (rc)
		return err_wrap(err, "a task's row is damaged");
	memcpy(task->id, id, UUID_SIZE);
	task->position = sqlite3_column_int64(row, 1);
	task->created_ms = sqlite3_column_int64(row, 4);
	task->started_ms = sqlite3_column_int64(row, 5);
	task->completed_ms = sqlite3_column_int64(row, 6);
	task->settled = sqlite3_column_int(row, 7) != 0;
	task->paused = sqlite3_column_int(row, 9) != 0;
	task->purge = sqlite3_column_int(row, 10) != 0;
	const char *progress = column_text(row, 8);
	task->progress = progress ? strdup(progress) : NULL;
	return progress && !task->progress ? err_set(err, ERR_NOMEM, "out of memory") : 0;
}

static int finish_loading(struct store *store, sqlite3_stmt *statement, int rc, int code, struct err *err)
{
	if (!rc && code != SQLITE_DONE)
		rc = fail(store, "read the state", err);
	(void)sqlite3_reset(statement);
	return rc;
}

int store_load_tasks(struct store *store, void (*each)(void *context, struct task *task), void *context,
		     struct err *err)
{
	sqlite3_stmt *statement = fresh(store, LOAD_TASKS);
	int rc = 0;
	int code = SQLITE_DONE;
	while (rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct task *task = calloc(1, sizeof(*task));
		rc = task ? read_task(statement, task, err) : err_set(err, ERR_NOMEM, "out of memory");
		if (rc)
			task_free(task);
		else
			each(context, task);
	}
	return finish_loading(store, statement, rc, code, err);
}

static int read_node(sqlite3_stmt *row, struct node *node, struct err *err)
{
	const char *id = column_text(row, 0);
	const struct register_message message = {
		.hostname = column_text(row, 1),
		.architecture = column_text(row, 2),
		.cpu_count = sqlite3_column_int64(row, 3),
		.slots = sqlite3_column_int64(row, 4),
		.run = column_text(row, 5),
		.agent_version = column_text(row, 6),
		.runtime = column_text(row, 7),
		.leases = sqlite3_column_int(row, 11) & UNDERSTANDS_LEASES,
		.exec = sqlite3_column_int(row, 11) & UNDERSTANDS_EXEC,
	};
	const char *secret = column_text(row, 13);
	const char *fresh = column_text(row, 14);
	if (!id || strlen(id) > LIMIT_NODE_ID || !message.hostname || !message.architecture)
		return err_set(err, ERR_INVALID, "a node's row is damaged");
	(void)strcpy(node->id, id);
	node->stop_requested = sqlite3_column_int(row, 8) != 0;
	node->registered_ms = sqlite3_column_int64(row, 9);
	node->seen_wall_ms = node->saved_wall_ms = sqlite3_column_int64(row, 10);
	node->epoch = sqlite3_column_int64(row, 12);
	node->draining = sqlite3_column_int(row, 15) != 0;
	text_copy(node->secret.hash, sizeof(node->secret.hash), secret ? secret : "");
	if (fresh && *fresh) {
		node->fresh = calloc(1, sizeof(*node->fresh));
		if (!node->fresh)
			return err_set(err, ERR_NOMEM, "out of memory");
		text_copy(node->fresh->hash, sizeof(node->fresh->hash), fresh);
	}
	return node_take_registration(node, &message) ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

int store_load_nodes(struct store *store, void (*each)(void *context, struct node *node), void *context,
		     struct err *err)
{
	sqlite3_stmt *statement = fresh(store, LOAD_NODES);
	int rc = 0;
	int code = SQLITE_DONE;
	while (rc == 0 && (code = sqlite3_step(statement)) == SQLITE_ROW) {
		struct node *node = calloc(1, sizeof(*node));
		rc = node ? read_node(statement, node, err) : err_set(err, ERR_NOMEM, "out of memory");
		if (rc)
			node_free(node);
		else
			each(context, node);
	}
	return finish_loading(store, statement, rc, code, err);
}
