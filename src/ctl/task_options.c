/* Owns the way from options to a task. Called by run and submit; the hub decides what of it is allowed. */
#include "ctl/task_options.h"

#include "base/cleanup.h"
#include "base/random.h"

#include <stdlib.h>
#include <string.h>

static int set(json_t *task, const char *field, json_t *value, struct err *err)
{
	return json_object_set_new(task, field, value) ? err_set(err, ERR_INVALID, "%s: not a text in UTF-8, or out of memory", field) : 0;
}

static int add_strings(json_t *task, const char *field, const char *const *strings, size_t count, struct err *err)
{
	json_t *array = json_array();
	int rc = set(task, field, array, err);
	for (size_t i = 0; !rc && i < count; i++) {
		if (json_array_append_new(array, json_string(strings[i])))
			rc = err_set(err, ERR_INVALID, "\"%.100s\" is no text in UTF-8: pass such bytes as an item", strings[i]);
	}
	return rc;
}

/* "linux/arm64=IMAGE" has a '=' behind a platform; an image's own name has none. */
static int add_images(json_t *task, const struct option_texts *images, struct err *err)
{
	AUTO_JSON json_t *by_platform = json_object();
	int rc = by_platform ? 0 : err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; !rc && i < images->count; i++) {
		const char *equals = strchr(images->items[i], '=');
		if (!equals) {
			rc = set(task, "image", json_string(images->items[i]), err);
			continue;
		}
		AUTO_FREE char *platform = strndup(images->items[i], (size_t)(equals - images->items[i]));
		rc = platform ? set(by_platform, platform, json_string(equals + 1), err) : err_set(err, ERR_NOMEM, "out of memory");
	}
	return rc || json_object_size(by_platform) == 0 ? rc : set(task, "images", json_incref(by_platform), err);
}

static int add_pairs(json_t *task, const char *field, const struct option_texts *pairs, bool from_here, struct err *err)
{
	json_t *map = pairs->count ? json_object() : NULL;
	int rc = pairs->count ? set(task, field, map, err) : 0;
	for (size_t i = 0; !rc && i < pairs->count; i++) {
		const char *pair = pairs->items[i];
		const char *equals = strchr(pair, '=');
		const char *value = equals ? equals + 1 : from_here ? getenv(pair) : NULL;
		if (!value)
			return err_set(err, ERR_INVALID,
				       from_here ? "--env %.100s: there is no such variable here; --env NAME=VALUE sets one"
						 : "--where %.100s: must be LABEL=VALUE",
				       pair);
		AUTO_FREE char *name = equals ? strndup(pair, (size_t)(equals - pair)) : strdup(pair);
		rc = name ? set(map, name, json_string(value), err) : err_set(err, ERR_NOMEM, "out of memory");
	}
	return rc;
}

static int add_numbers(json_t *task, const struct task_options *options, bool exec, struct err *err)
{
	enum { MIB = 1024 * 1024 };
	int rc = 0;
	if (options->memory)
		rc = set(task, "memory_mb", json_integer((options->memory + MIB - 1) / MIB), err);
	if (!rc && options->cpus)
		rc = set(task, "cpus", json_integer(options->cpus), err);
	if (!rc && options->timeout_ms)
		rc = set(task, "item_timeout", json_integer((options->timeout_ms + 999) / 1000), err);
	if (!rc && options->retries)
		rc = set(task, "max_attempts", json_integer(options->retries), err);
	if (!rc && exec && options->batch > 1)
		rc = set(task, "batch", json_integer(options->batch), err);
	if (!rc && exec && options->max_result)
		rc = set(task, "max_result", json_integer(options->max_result), err);
	if (!rc && options->network)
		rc = set(task, "network", json_string("outbound"), err);
	return rc;
}

static int add_queue(json_t *task, const char *field, const char *name, const char *ending, struct err *err)
{
	return set(task, field, json_sprintf("%s:%s", name, ending), err);
}

static int check(const struct task_options *options, struct err *err)
{
	if (options->network && options->no_network)
		return err_set(err, ERR_INVALID, "--network and --no-network: which?");
	return 0;
}

json_t *task_options_to_json(const struct task_options *options, const char *const *command, size_t count, struct err *err)
{
	AUTO_JSON json_t *task = json_object();
	int rc = task ? check(options, err) : err_set(err, ERR_NOMEM, "out of memory");
	if (!rc)
		rc = set(task, "name", json_string(options->name), err);
	if (!rc)
		rc = add_images(task, &options->images, err);
	if (!rc && count)
		rc = add_strings(task, "exec", command, count, err);
	if (!rc)
		rc = add_pairs(task, "env", &options->env, true, err);
	if (!rc)
		rc = add_pairs(task, "where", &options->where, false, err);
	if (!rc)
		rc = add_numbers(task, options, count > 0, err);
	if (!rc)
		rc = add_queue(task, "input_queue", options->name, "in", err);
	if (!rc)
		rc = add_queue(task, "output_queue", options->name, "out", err);
	return rc ? NULL : steal(task);
}

void task_options_draw_name(const char *command, char *into, size_t size)
{
	enum { COMMAND_MOST = 40, DRAWN = 5 };
	static const char LETTERS[] = "abcdefghijkmnpqrstuvwxyz23456789"; /* 32 that nobody mistakes for each other */
	static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
	const char *slash = strrchr(command, '/');
	const char *base = slash ? slash + 1 : command;
	size_t len = strspn(base, PLAIN);
	char drawn[DRAWN + 1] = "";
	for (size_t i = 0; i < DRAWN; i++)
		drawn[i] = LETTERS[random_u32() % 32];
	if (len == 0 || base[0] == '.')
		(void)snprintf(into, size, "run-%s", drawn);
	else
		(void)snprintf(into, size, "%.*s-%s", len < COMMAND_MOST ? (int)len : COMMAND_MOST, base, drawn);
}
