/* What a command of gridctl is: one row of the table (commands.c), from which its help, the completions and its man page come. */
#pragma once

#include "ctl/options.h"

#include <stdbool.h>
#include <stddef.h>

struct ctl;

/* Exit statuses. `run`, `wait` and `attach` end with the number of failed items, up to 100, and 101 for more. */
enum {
	CTL_OK = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_UNREACHABLE = 69, /* EX_UNAVAILABLE of sysexits.h: the hub does not answer */
	CTL_DENIED = 77,      /* EX_NOPERM: the hub refuses the token, or is not whom tls_ca or tls_pin name */
	CTL_CONFIG = 78,      /* EX_CONFIG */
	CTL_INTERRUPTED = 130,
};

/* In the order of the help. */
enum command_group { GROUP_WORK, GROUP_TASKS, GROUP_NODES, GROUP_FAILURES, GROUP_SETUP, GROUP_COUNT };

struct command_call {
	const struct command *command;
	const void *options;         /* the command's own struct, filled */
	const char *const *operands; /* count of them, and a NULL */
	size_t operand_count;
};

struct command {
	const char *name;   /* "tasks"; "node stop" for one of two words */
	enum command_group group;
	const char *usage;  /* what stands behind the name: "NAME [--purge]"; "" for nothing */
	const char *purpose; /* one line, without a full stop */
	const char *help;   /* paragraphs for --help and the man page, "" for none; lines of at most 80 columns */
	const struct option_table *options; /* NULL for none */
	const void *defaults;               /* what the options' struct begins with */
	size_t options_size;                /* of that struct */
	size_t min_operands, max_operands;  /* SIZE_MAX: any number */
	enum option_hint operand_hint;
	const char *words;     /* the only values of the first operand, for completions: "bash zsh"; NULL: any */
	bool hidden;           /* neither in the help nor in the completions */
	bool stop_at_operand;  /* see struct option_parse */
	bool offline;          /* runs without a hub, and with a configuration that is broken */
	int64_t retry_for_ms;  /* how long an unreachable hub is tried, where --retry-for does not say; 0: RETRY_FOR_MS */
	int (*run)(struct ctl *ctl, const struct command_call *call); /* an exit status */
};

/* The options that every command knows. */
extern const struct option_table GLOBAL_OPTIONS;
