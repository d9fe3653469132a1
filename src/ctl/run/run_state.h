/* What a run leaves on this machine for `gridctl attach`: a small file per run, gone when the run has ended. */
#pragma once

#include "base/err.h"
#include "ctl/run/run_options.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct run_state {
	json_t *object; /* NULL: nothing is kept */
	char *path;
};

/* Begins a new one, in memory: the hub's address and the task's name. Without a place for it nothing is kept. */
void run_state_begin(struct run_state *state, const char *hub, const char *task);

/* Reads the one that is there; `object` NULL where there is none. */
int run_state_load(struct run_state *state, const char *hub, const char *task, struct err *err) MUST_CHECK;

/* Each takes part where `object` is there, and is ignored otherwise. */
void run_state_set(struct run_state *state, const char *field, json_t *value);
void run_state_save(struct run_state *state);
void run_state_remove(struct run_state *state);
void run_state_done(struct run_state *state);

/* Where the items come from, so that the rest can be pushed later; nothing where they come from a pipe. */
int run_state_set_input(struct run_state *state, const struct run_options *options, const struct run_words *words, struct err *err)
	MUST_CHECK;

/* How the results are put out, so that attach does the same. */
int run_state_set_output(struct run_state *state, const struct run_output_options *output, const char *const *command,
			 size_t command_len, enum result_layout layout, bool json, struct err *err) MUST_CHECK;
