/* What the hub's tests share: a store in the current directory (a sandbox), specs, and hands on its database. */
#pragma once

#include "hub/store.h"
#include "proto/task_spec.h"

#include <stdint.h>

/* Opens the state in ./state; fails the test where it cannot. */
struct store *open_store(void);

/* A spec with that name and image "i". */
struct task_spec simple_spec(const char *name);

struct task_spec spec_from(const char *json);

/* Runs SQL on the database behind the store's back. */
void run_sql(const char *sql);

/* From now on nothing can be written (a trigger refuses every change), until it is allowed again. */
void forbid_writes(void);
void allow_writes(void);

/* How many rows the query's first column counts. */
int64_t ask_sql(const char *sql);
