/* A task as a person registers it: what to run, and which queues it works on. */
#pragma once

#include "base/err.h"
#include "proto/exec_spec.h"

#include <jansson.h>
#include <stdbool.h>

enum delivery {
	DELIVERY_DIRECT, /* containers talk to Redis themselves */
	DELIVERY_LEASED, /* the hub takes items out, nodes serve them to their containers */
};

/* What a leased task's containers reach besides the gateway. */
enum task_network {
	TASK_NETWORK_NONE,     /* nothing */
	TASK_NETWORK_OUTBOUND, /* the internet, where the machine's owner allows it */
};

/* Strings are owned; optional ones are NULL where the task does not say. */
struct task_spec {
	char *name;
	char *image;        /* for the platforms that `images` does not name */
	json_t *images;     /* platform → image, or NULL */
	char *input_redis;  /* URLs, with their passwords */
	char *output_redis;
	char *input_queue;
	char *output_queue;
	enum delivery delivery;
	json_t *command;    /* array of strings in the place of entrypoint and arguments, or NULL */
	json_t *env;        /* name → value, or NULL */
	json_int_t memory_mb; /* 0: what the node gives */
	json_int_t cpus;      /* per container, at least 1 */

	/* For leased delivery. */
	enum task_network network;
	json_int_t concurrency;    /* 1: the worker is serial though its client hops between connections; 0: not declared */
	json_int_t max_attempts;   /* failures until an item is a dead letter, at least 1 */
	json_int_t item_timeout_s; /* a worker that holds an item for longer is killed; 0: never */
	bool require_result;       /* an item closed without any write has failed */
	bool pop_left;             /* items are taken from the list's left end, not from its right */
	bool auto_finish;          /* the next task starts by itself when nothing is left to do */
	json_int_t auto_finish_after_s; /* … and nothing came for so long */
	struct exec_spec exec;          /* the command for each item, its reference owned; none: exec.command is NULL */
};

/* Reads and checks the body of POST /api/tasks. spec can be done with in both cases. */
int task_spec_parse(json_t *object, struct task_spec *spec, struct err *err) MUST_CHECK;
void task_spec_done(struct task_spec *spec);

/* The same fields back, absent ones as null; `masked`: URLs without their passwords. A new reference; NULL without
 * memory. */
json_t *task_spec_to_json(const struct task_spec *spec, bool masked);

/* "leased", "direct"; "none", "outbound". */
const char *delivery_name(enum delivery delivery);
const char *task_network_name(enum task_network network);

/* The image for a platform; NULL where the task has none. */
const char *task_spec_image(const struct task_spec *spec, const char *platform);
