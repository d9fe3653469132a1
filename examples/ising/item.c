/* Owns the form of items and results. The worker calls it. It never computes, and never trusts what it reads. */
#include "item.h"

#include <jansson.h>
#include <string.h>

struct item {
	json_t *object;
};

/* Twelve digits hold any T that people write, exactly; more would show 2.27 as 2.2700000000000000178. */
enum { OUTPUT_FLAGS = JSON_COMPACT | JSON_REAL_PRECISION(12) };

static const char *read_plan(const json_t *object, struct simulation_plan *plan)
{
	const json_t *size = json_object_get(object, "L");
	const json_t *temperature = json_object_get(object, "T");
	const json_t *sweeps = json_object_get(object, "sweeps");
	const json_t *seed = json_object_get(object, "seed");
	if (!json_is_integer(size) || !json_is_number(temperature) || !json_is_integer(sweeps) || !json_is_integer(seed))
		return "want {\"L\": integer, \"T\": number, \"sweeps\": integer, \"seed\": integer}";

	json_int_t edge = json_integer_value(size);
	*plan = (struct simulation_plan){
		.size = edge > 0 && edge < INT16_MAX ? (int)edge : 0,
		.temperature = json_number_value(temperature),
		.sweeps = json_integer_value(sweeps),
		.seed = (uint64_t)json_integer_value(seed),
	};
	return simulation_check(plan);
}

struct item *item_parse(const char *text, size_t len, struct simulation_plan *plan, const char **why)
{
	json_t *object = json_loadb(text, len, JSON_REJECT_DUPLICATES, NULL);
	*why = json_is_object(object) ? read_plan(object, plan) : "not a JSON object";

	struct item *item = *why ? NULL : malloc(sizeof(*item));
	if (!item) {
		if (!*why)
			*why = "out of memory";
		json_decref(object);
		return NULL;
	}
	item->object = object;
	return item;
}

void item_free(struct item *item)
{
	if (!item)
		return;
	json_decref(item->object);
	free(item);
}

static char *dump_and_release(json_t *object)
{
	char *text = object ? json_dumps(object, OUTPUT_FLAGS) : NULL;
	json_decref(object);
	return text;
}

char *item_result(const struct item *item, const struct simulation_result *result, const struct item_origin *origin)
{
	json_t *measured = json_pack("{s:f s:f s:f s:f s:f s:i s:f s:s* s:s*}",
	                             "energy", result->energy, "energy_error", result->energy_error,
	                             "m_abs", result->magnetisation, "m_abs_error", result->magnetisation_error,
	                             "tau", result->tau, "clusters", result->clusters_per_sweep,
	                             "seconds", origin->seconds, "node", origin->node, "instance", origin->instance);
	json_t *object = json_copy(item->object);
	if (!measured || !object || json_object_update(object, measured) != 0) {
		json_decref(object);
		object = NULL;
	}
	json_decref(measured);
	return dump_and_release(object);
}

char *item_refusal(const char *text, size_t len, const char *why)
{
	json_t *object = json_pack("{s:s s:s%}", "error", why, "item", text, len);
	if (!object)   /* bytes that are no UTF-8 cannot stand in JSON */
		object = json_pack("{s:s s:I}", "error", why, "item_bytes", (json_int_t)len);
	return dump_and_release(object);
}
