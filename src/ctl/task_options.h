/* What a task is, in options: shared by run and submit. */
#pragma once

#include "ctl/command.h"
#include "ctl/options.h"

#include <jansson.h>

struct task_options {
	const char *name;
	struct option_texts images;  /* IMAGE, or PLATFORM=IMAGE */
	struct option_texts env;     /* NAME=VALUE, or NAME: its value here */
	struct option_texts where;   /* LABEL=VALUE */
	int64_t memory;              /* bytes; 0: as the node has it */
	int64_t cpus;
	int64_t timeout_ms;          /* per item; 0: none */
	int64_t retries;             /* attempts; 0: the hub's usual 3 */
	int64_t batch;
	int64_t max_result;          /* bytes; 0: the hub's usual */
	bool network, no_network;
};

#define TASK_OPTIONS_BEFORE {.batch = 1}

/* The options' rows, for a table whose struct begins with a struct task_options. */
#define TASK_OPTION_ROWS \
	{.name = "name", .type = OPTION_TEXT, .offset = offsetof(struct task_options, name), .argument = "NAME", .hint = HINT_TASK, \
	 .help = "what the task is called (default: the command's name and some letters)"}, \
	{.name = "image", .type = OPTION_TEXTS, .offset = offsetof(struct task_options, images), .argument = "[PLATFORM=]IMAGE", \
	 .help = "the container image to run in; with a platform, as linux/arm64=IMAGE, one per\nplatform. Without any: nodes that run plain processes"}, \
	{.name = "env", .type = OPTION_TEXTS, .offset = offsetof(struct task_options, env), .argument = "NAME[=VALUE]", \
	 .help = "an environment variable of the command; NAME alone: with the value it has here"}, \
	{.name = "memory", .type = OPTION_BYTES, .offset = offsetof(struct task_options, memory), .argument = "SIZE", \
	 .min = 6 * 1024 * 1024, .max = INT64_C(16) << 40, .help = "memory of each command, as 512M or 4G"}, \
	{.name = "cpus", .type = OPTION_INTEGER, .offset = offsetof(struct task_options, cpus), .argument = "N", .min = 1, \
	 .max = 4096, .help = "CPUs of each command (default 1)"}, \
	{.name = "timeout", .type = OPTION_SECONDS, .offset = offsetof(struct task_options, timeout_ms), .argument = "TIME", \
	 .min = 1, .max = INT64_C(30) * 24 * 60 * 60 * 1000, .help = "a command that takes longer is killed, and has failed"}, \
	{.name = "retries", .type = OPTION_INTEGER, .offset = offsetof(struct task_options, retries), .argument = "N", .min = 1, \
	 .max = 1000, .help = "an item has failed after N attempts (default 3)"}, \
	{.name = "batch", .type = OPTION_INTEGER, .offset = offsetof(struct task_options, batch), .argument = "N", .min = 1, \
	 .max = 1000, .help = "give one command up to N items together, on standard input"}, \
	{.name = "max-result", .type = OPTION_BYTES, .offset = offsetof(struct task_options, max_result), .argument = "SIZE", \
	 .min = 1, .max = 8 * 1024 * 1024, .help = "a command that writes more has failed (default 1M, at most 8M)"}, \
	{.name = "network", .type = OPTION_FLAG, .offset = offsetof(struct task_options, network), \
	 .help = "the command may use the network, on nodes that allow it"}, \
	{.name = "no-network", .type = OPTION_FLAG, .offset = offsetof(struct task_options, no_network), \
	 .help = "the command has no network (the default)"}

/* The task as the hub's API takes it: what the options say, the command (NULL or empty: none), and queues named after the
 * task, "NAME:in" and "NAME:out". The name must be set. NULL with err set. */
json_t *task_options_to_json(const struct task_options *options, const char *const *command, size_t count, struct err *err);

/* A name for a task of that command: its base name and letters drawn at random. */
void task_options_draw_name(const char *command, char *into, size_t size);
