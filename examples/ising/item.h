/* Items and results, as JSON text. The worker calls it. An item is {"L": 64, "T": 2.3, "sweeps": 4000, "seed": 7}; its
 * result has the same keys, whatever else the item carried, and what was measured. */
#pragma once

#include "simulation.h"

#include <stddef.h>

struct item;

/* NULL if the text is no item; why then says what is wrong. */
struct item *item_parse(const char *text, size_t len, struct simulation_plan *plan, const char **why);
void item_free(struct item *item);

/* Who computed it, and how long it took. node and instance may be NULL. */
struct item_origin {
	const char *node, *instance;
	double seconds;
};

/* One line of JSON; free() it. NULL without memory. */
char *item_result(const struct item *item, const struct simulation_result *result, const struct item_origin *origin);

/* What stands in the output queue for something that is no item, so that nothing vanishes silently. */
char *item_refusal(const char *text, size_t len, const char *why);
