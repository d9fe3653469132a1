/* How far a pull is: the engine's messages about layers in, one percentage and one line of text out. */
#pragma once

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PULL_LAYERS_MAX = 256 }; /* Docker itself stops at 127 */

struct pull_layer {
	char id[72];
	int64_t total;      /* bytes; 0 while unknown */
	int64_t downloaded;
	int64_t extracted;
	bool complete;
};

struct pull_progress {
	struct pull_layer layers[PULL_LAYERS_MAX];
	size_t count;
	int percent;     /* -1 while unknown; never falls */
	char text[128];  /* "2 of 5 layers, 12.3 of 45.6 MB" */
	struct err err;  /* what the stream told of a failure; code 0 without one */
};

void pull_progress_init(struct pull_progress *progress);

/* One message of the stream. An unknown kind of message changes nothing. */
void pull_progress_add(struct pull_progress *progress, const json_t *message);
