/* One result as gridexec writes it with result_format "json": what a command gave for an item, or for several together. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct run_result {
	json_t *object;     /* owns the texts below, but for those that were decoded */
	bool batch;         /* of several items: no item's text, and the numbers are in seqs */
	int64_t seq;        /* the item's number; of several the smallest */
	json_t *seqs;       /* an array of integers; NULL for one item */
	size_t items;       /* how many */
	const char *item;   /* "" for several */
	size_t item_len;
	const char *output;
	size_t output_len;
	int exit_status;
	double seconds, started; /* how long, and when (since 1970) */
	const char *node;
	int attempt;
	char *decoded[2];
};

/* ERR_PROTOCOL where it is no such result. run_result_done in both cases. */
int run_result_read(struct run_result *result, const char *line, size_t len, struct err *err) MUST_CHECK;
void run_result_done(struct run_result *result);

/* The number of the item at `index` (below items), in the order in which the command had them. */
int64_t run_result_seq(const struct run_result *result, size_t index);

/* The output's line number `index`, with its newline; only where run_result_has_lines. */
struct run_lines {
	const char *at, *end;
};
struct run_lines run_result_lines(const struct run_result *result);
bool run_lines_next(struct run_lines *lines, const char **line, size_t *len);

/* Whether a batch's output has one line for each of its items. */
bool run_result_has_lines(const struct run_result *result);
