/* Owns the tests' own way to the hub's database. Called by the tests of tests/unit/hub/. */
#include "hub_support.h"

#include "../support.h"

#include <sqlite3.h>

struct store *open_store(void)
{
	struct err err = {0};
	struct store *store = store_open("state", &err);
	if (!store)
		fail_msg("%s", err.text);
	return store;
}

struct task_spec spec_from(const char *json)
{
	struct task_spec spec;
	struct err err = {0};
	json_t *object = json_loads(json, 0, NULL);
	assert_non_null(object);
	if (task_spec_parse(object, &spec, &err))
		fail_msg("%s", err.text);
	json_decref(object);
	return spec;
}

struct task_spec simple_spec(const char *name)
{
	struct task_spec spec;
	json_t *object = json_pack("{s:s, s:s}", "name", name, "image", "i");
	assert_int_equal(task_spec_parse(object, &spec, NULL), 0);
	json_decref(object);
	return spec;
}

static sqlite3 *open_database(void)
{
	sqlite3 *db = NULL;
	assert_int_equal(sqlite3_open_v2("state/computehub.db", &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
	return db;
}

void run_sql(const char *sql)
{
	char *error = NULL;
	sqlite3 *db = open_database();
	if (sqlite3_exec(db, sql, NULL, NULL, &error) != SQLITE_OK)
		fail_msg("%s: %s", sql, error);
	(void)sqlite3_close(db);
}

void forbid_writes(void)
{
	run_sql("CREATE TRIGGER t1 BEFORE INSERT ON tasks BEGIN SELECT raise(ABORT, 'forbidden'); END;"
		"CREATE TRIGGER t2 BEFORE UPDATE ON tasks BEGIN SELECT raise(ABORT, 'forbidden'); END;"
		"CREATE TRIGGER t3 BEFORE DELETE ON tasks BEGIN SELECT raise(ABORT, 'forbidden'); END;"
		"CREATE TRIGGER n1 BEFORE INSERT ON nodes BEGIN SELECT raise(ABORT, 'forbidden'); END;"
		"CREATE TRIGGER n3 BEFORE DELETE ON nodes BEGIN SELECT raise(ABORT, 'forbidden'); END;");
}

void allow_writes(void)
{
	run_sql("DROP TRIGGER t1; DROP TRIGGER t2; DROP TRIGGER t3; DROP TRIGGER n1; DROP TRIGGER n3;");
}

int64_t ask_sql(const char *sql)
{
	sqlite3 *db = open_database();
	sqlite3_stmt *statement = NULL;
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
	int64_t value = sqlite3_column_int64(statement, 0);
	(void)sqlite3_finalize(statement);
	(void)sqlite3_close(db);
	return value;
}
