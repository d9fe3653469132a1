/* A runtime whose every answer the test gives: it records what slots ask of it, and the test plays the engine. */
#pragma once

#include "node/runtime/runtime.h"

enum { SCRIPTED_WORKERS_MAX = 64, SCRIPTED_IMAGES_MAX = 16, SCRIPTED_PLACES_MAX = 16 };

/* What was asked for one container, in the order of asking. */
struct worker {
	struct worker_events events;
	char name[256];
	char image[256];
	char cpus[64];
	char url[256];                   /* INPUT_REDIS_URL of its environment; "" without one */
	const struct place *place;
	int terminated, killed, removed; /* how often it was asked */
	bool gone;                       /* on_removed was told */
};

struct image_call {
	struct image_events events;
	char image[256];
	bool cancelled;
	bool done;
};

/* A network of its own, in which the test listens in the place of the pause program. */
struct place {
	struct place_events events;
	char name[256];
	bool outbound;
	int closed; /* how often it was asked */
	bool gone;  /* on_closed was told */
};

struct runtime {
	struct worker workers[SCRIPTED_WORKERS_MAX];
	size_t worker_count;
	struct image_call images[SCRIPTED_IMAGES_MAX];
	size_t image_count;
	struct place places[SCRIPTED_PLACES_MAX];
	size_t place_count;
	bool refuse_start, refuse_place;
};

extern const struct runtime_ops scripted_runtime;
extern const struct runtime_ops scripted_runtime_with_places;

/* The engine's moves. */
void script_started(struct worker *worker);
void script_start_failed(struct worker *worker, enum err_code code, const char *text);
void script_exited(struct worker *worker, int status);
void script_removed(struct worker *worker);
void script_image_ready(struct image_call *call);
void script_image_failed(struct image_call *call, const char *text);
void script_place_listening(struct place *place, int fd);
void script_place_lost(struct place *place, const char *text);
void script_place_closed(struct place *place);
