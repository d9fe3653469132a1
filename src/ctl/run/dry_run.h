/* --dry-run: the commands as they would run. */
#pragma once

#include "ctl/ctl.h"
#include "ctl/run/run_input.h"
#include "ctl/run/run_options.h"

/* Prints a line for each command, as a shell takes it; waits for the input, asks no hub. An exit status. */
int dry_run(struct ctl *ctl, const struct run_options *options, const struct run_words *words, struct run_input *input);
