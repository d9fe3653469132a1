/* A runtime whose every answer the test gives: it records what slots ask of it, and the test plays the engine. */
#pragma once

#include "node/runtime/runtime.h"

enum { SCRIPTED_WORKERS_MAX = 64, SCRIPTED_IMAGES_MAX = 16 };

/* What was asked for one container, in the order of asking. */
struct worker {
	struct worker_events events;
	char name[256];
	char image[256];
	char cpus[64];
	int terminated, killed, removed; /* how often it was asked */
	bool gone;                       /* on_removed was told */
};

struct image_call {
	struct image_events events;
	char image[256];
	bool cancelled;
	bool done;
};

struct runtime {
	struct worker workers[SCRIPTED_WORKERS_MAX];
	size_t worker_count;
	struct image_call images[SCRIPTED_IMAGES_MAX];
	size_t image_count;
	bool refuse_start;
};

extern const struct runtime_ops scripted_runtime;

/* The engine's moves. */
void script_started(struct worker *worker);
void script_start_failed(struct worker *worker, enum err_code code, const char *text);
void script_exited(struct worker *worker, int status);
void script_removed(struct worker *worker);
void script_image_ready(struct image_call *call);
void script_image_failed(struct image_call *call, const char *text);
