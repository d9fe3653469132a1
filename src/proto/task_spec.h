/* A task as a person registers it: what to run, and which queues it works on. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

enum delivery {
	DELIVERY_DIRECT, /* containers talk to Redis themselves */
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
};

/* Reads and checks the body of POST /api/tasks. spec can be done with in both cases. */
int task_spec_parse(json_t *object, struct task_spec *spec, struct err *err) MUST_CHECK;
void task_spec_done(struct task_spec *spec);

/* The same fields back, absent ones as null; `masked`: URLs without their passwords. A new reference; NULL without
 * memory. */
json_t *task_spec_to_json(const struct task_spec *spec, bool masked);

/* The image for a platform; NULL where the task has none. */
const char *task_spec_image(const struct task_spec *spec, const char *platform);
