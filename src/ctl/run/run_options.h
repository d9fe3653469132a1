/* The options of run and attach, and what follows from them. */
#pragma once

#include "ctl/item_source.h"
#include "ctl/run/halt.h"
#include "ctl/run/result_files.h"
#include "ctl/task_options.h"

#include <stdbool.h>

/* How the results are to be put out; run has it, attach too. */
struct run_output_options {
	bool keep_order, tag, bar, no_finish;
	const char *results;  /* a directory */
	const char *joblog;
};

struct run_options {
	struct task_options task; /* first: its rows are in the table */
	struct run_output_options output;
	bool nul, dry_run, resume, resume_failed;
	struct option_texts files;
	const char *directory;
	const char *halt;
};

struct attach_options {
	struct run_output_options output;
	bool nul;
	struct option_texts files;
};

/* A command line taken apart: COMMAND… ::: A B ::: C D */
struct run_words {
	const char *const *command;
	size_t command_len;
	struct item_group *groups; /* borrowed words; free() it */
	size_t group_count;
	const char **appended;     /* a copy of the command with placeholders behind it, or NULL; run_words_done */
};

int run_words_split(struct run_words *words, const char *const *operands, size_t count, struct err *err) MUST_CHECK;

/* ":::" without a placeholder in the command: the arguments come behind it, as with GNU parallel. */
int run_words_append(struct run_words *words, struct err *err) MUST_CHECK;
void run_words_done(struct run_words *words);

/* Whether the command takes the item as an argument. */
bool run_words_have_placeholder(const struct run_words *words);

/* What does not fit together. */
int run_options_check(const struct run_options *options, bool json, const struct run_words *words, struct err *err) MUST_CHECK;

extern const struct option_table RUN_OPTIONS, ATTACH_OPTIONS;
