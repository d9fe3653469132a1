/* Owns the shape of a task: its fields, their types and rules. Called by the hub's API and store; never puts a URL into
 * a message. */
#include "proto/task_spec.h"

#include "base/cleanup.h"
#include "base/json.h"
#include "base/url.h"
#include "proto/limits.h"
#include "proto/platform.h"

#include <stdlib.h>
#include <string.h>

enum { ATTEMPTS_DEFAULT = 3, AUTO_FINISH_AFTER_S = 10 };

static int check_name(const char *name, struct err *err)
{
	bool blank = true;
	for (const unsigned char *c = (const unsigned char *)name; *c; c++) {
		if (*c < 0x20 || *c == 0x7f || *c == '/')
			return err_set(err, ERR_INVALID, "field \"name\" must not have control characters or '/'");
		blank = blank && *c == ' ';
	}
	return blank ? err_set(err, ERR_INVALID, "field \"name\" must not be empty") : 0;
}

static int check_image(const char *field, const char *image, struct err *err)
{
	if (!*image || strlen(image) > LIMIT_IMAGE)
		return err_set(err, ERR_INVALID, "field \"%s\" must name an image of at most %d bytes", field, LIMIT_IMAGE);
	for (const unsigned char *c = (const unsigned char *)image; *c; c++) {
		if (*c <= 0x20 || *c == 0x7f)
			return err_set(err, ERR_INVALID, "field \"%s\": an image's name has no spaces", field);
	}
	return 0;
}

static int check_images(json_t *images, struct err *err)
{
	const char *platform;
	json_t *image;
	if (json_object_size(images) > LIMIT_IMAGES)
		return err_set(err, ERR_INVALID, "field \"images\" has more than %d platforms", LIMIT_IMAGES);
	json_object_foreach(images, platform, image) {
		if (!platform_is_known(platform))
			return err_set(err, ERR_INVALID,
				       "field \"images\" names an unknown platform; known are linux/amd64, linux/arm64 and "
				       "linux/arm/v7");
		int rc = check_image("images", json_string_value(image), err);
		if (rc)
			return rc;
	}
	return 0;
}

static int check_command(json_t *command, struct err *err)
{
	size_t count = json_array_size(command);
	if (count == 0 || count > LIMIT_COMMAND_PARTS || json_string_length(json_array_get(command, 0)) == 0)
		return err_set(err, ERR_INVALID, "field \"command\" must have 1 to %d strings, the first one not empty",
			       LIMIT_COMMAND_PARTS);
	size_t i;
	json_t *part;
	json_array_foreach(command, i, part) {
		if (json_string_length(part) > LIMIT_ARGUMENT)
			return err_set(err, ERR_INVALID, "field \"command\" has a string of more than %d bytes", LIMIT_ARGUMENT);
	}
	return 0;
}

static int check_env(json_t *env, struct err *err)
{
	const char *name;
	json_t *value;
	if (json_object_size(env) > LIMIT_ENV_VARIABLES)
		return err_set(err, ERR_INVALID, "field \"env\" has more than %d variables", LIMIT_ENV_VARIABLES);
	json_object_foreach(env, name, value) {
		if (!*name || strchr(name, '='))
			return err_set(err, ERR_INVALID, "field \"env\" has a variable whose name is empty or has a '='");
		if (strlen(name) + 1 + json_string_length(value) > LIMIT_ARGUMENT)
			return err_set(err, ERR_INVALID, "field \"env\" has a variable of more than %d bytes", LIMIT_ARGUMENT);
	}
	return 0;
}

static int check_redis(const char *field, const char *url, struct err *err)
{
	int rc = url ? url_check_redis(url, err) : 0;
	return rc ? err_wrap(err, "field \"%s\"", field) : 0;
}

/* What a body says, borrowed from it. */
struct fields {
	const char *name, *image, *input_redis, *output_redis, *input_queue, *output_queue, *delivery, *network, *pop;
	json_t *images, *command, *env;
	json_int_t memory_mb, cpus, concurrency, max_attempts, item_timeout_s, auto_finish_after_s;
	bool require_result, auto_finish;
	struct exec_fields exec;
};

/* One of two words; absent means the first. */
static int read_choice(const char *field, const char *given, const char *usual, const char *other, bool *is_other,
		       struct err *err)
{
	*is_other = given && strcmp(given, other) == 0;
	if (!given || *is_other || strcmp(given, usual) == 0)
		return 0;
	return err_set(err, ERR_INVALID, "field \"%s\" must be \"%s\" or \"%s\"", field, usual, other);
}

/* The hub's own keys have ":idm:" in their names, and a worker may write below the output queue's name: no queue of a task
 * may lie where either could be mistaken for it. */
static int check_leased_queues(const struct fields *f, struct err *err)
{
	const char *input = f->input_queue;
	const char *output = f->output_queue;
	if (!input || !*input)
		return err_set(err, ERR_INVALID, "field \"input_queue\" is needed for leased delivery");
	if (strstr(input, ":idm:") || (output && strstr(output, ":idm:")))
		return err_set(err, ERR_INVALID, "a queue's name must not have \":idm:\" in it: such keys are the hub's own");
	if (!output)
		return 0;
	size_t len = strlen(output);
	bool same_redis = !f->output_redis || (f->input_redis && strcmp(f->input_redis, f->output_redis) == 0);
	if (len == 0)
		return err_set(err, ERR_INVALID, "field \"output_queue\" must not be empty");
	if (same_redis && strncmp(input, output, len) == 0 && (input[len] == '\0' || input[len] == ':'))
		return err_set(err, ERR_INVALID,
			       "the input queue lies under the output queue's name, where workers write: rename one of them");
	return 0;
}

/* gridexec takes the place of whatever else would run, speaks to a node's gateway, and has to put what comes out somewhere. */
static int read_exec(const struct fields *f, enum delivery delivery, struct exec_spec *exec, struct err *err)
{
	int rc = exec_spec_read(&f->exec, exec, err);
	if (rc || !exec->command)
		return rc;
	if (f->command)
		return err_set(err, ERR_INVALID, "fields \"exec\" and \"command\" exclude each other");
	if (delivery != DELIVERY_LEASED)
		return err_set(err, ERR_INVALID, "field \"exec\" needs leased delivery, and with it an \"input_queue\"");
	return f->output_queue ? 0 : err_set(err, ERR_INVALID, "field \"exec\" needs an \"output_queue\" for what the command writes");
}

/* Leased where there is something to lease, unless the task says otherwise. */
static int read_delivery(const struct fields *f, enum delivery *delivery, struct err *err)
{
	bool direct = !f->input_queue;
	int rc = f->delivery ? read_choice("delivery", f->delivery, "leased", "direct", &direct, err) : 0;
	*delivery = direct ? DELIVERY_DIRECT : DELIVERY_LEASED;
	return rc || direct ? rc : check_leased_queues(f, err);
}

static int read_fields(json_t *object, struct fields *f, struct err *err)
{
	const struct json_field table[] = {
		{.name = "name", .type = JSON_FIELD_STRING, .into = &f->name, .required = true, .max_len = LIMIT_TASK_NAME},
		{.name = "image", .type = JSON_FIELD_STRING, .into = &f->image},
		{.name = "images", .type = JSON_FIELD_STRING_MAP, .into = &f->images},
		{.name = "input_redis", .type = JSON_FIELD_STRING, .into = &f->input_redis},
		{.name = "output_redis", .type = JSON_FIELD_STRING, .into = &f->output_redis},
		{.name = "input_queue", .type = JSON_FIELD_STRING, .into = &f->input_queue, .max_len = LIMIT_QUEUE_NAME},
		{.name = "output_queue", .type = JSON_FIELD_STRING, .into = &f->output_queue, .max_len = LIMIT_QUEUE_NAME},
		{.name = "delivery", .type = JSON_FIELD_STRING, .into = &f->delivery},
		{.name = "command", .type = JSON_FIELD_STRINGS, .into = &f->command},
		{.name = "env", .type = JSON_FIELD_STRING_MAP, .into = &f->env},
		{.name = "memory_mb", .type = JSON_FIELD_INTEGER, .into = &f->memory_mb, .min = 6, .max = LIMIT_MEMORY_MB},
		{.name = "cpus", .type = JSON_FIELD_INTEGER, .into = &f->cpus, .min = 1, .max = LIMIT_CPUS},
		{.name = "network", .type = JSON_FIELD_STRING, .into = &f->network},
		{.name = "pop", .type = JSON_FIELD_STRING, .into = &f->pop},
		{.name = "concurrency", .type = JSON_FIELD_INTEGER, .into = &f->concurrency, .min = 0, .max = 1},
		{.name = "max_attempts", .type = JSON_FIELD_INTEGER, .into = &f->max_attempts, .min = 1, .max = LIMIT_ATTEMPTS},
		{.name = "item_timeout", .type = JSON_FIELD_INTEGER, .into = &f->item_timeout_s, .min = 0, .max = LIMIT_ITEM_TIMEOUT_S},
		{.name = "require_result", .type = JSON_FIELD_BOOLEAN, .into = &f->require_result},
		{.name = "auto_finish", .type = JSON_FIELD_BOOLEAN, .into = &f->auto_finish},
		{.name = "auto_finish_after", .type = JSON_FIELD_INTEGER, .into = &f->auto_finish_after_s, .min = 1, .max = LIMIT_ITEM_TIMEOUT_S},
		EXEC_SPEC_ROWS(&f->exec),
	};
	return json_read_fields(object, table, sizeof(table) / sizeof(table[0]), true, err);
}

static int check_fields(const struct fields *f, struct err *err)
{
	int rc = check_name(f->name, err);
	if (!rc && f->image)
		rc = check_image("image", f->image, err);
	if (!rc && f->images)
		rc = check_images(f->images, err);
	if (!rc && f->command)
		rc = check_command(f->command, err);
	if (!rc && f->env)
		rc = check_env(f->env, err);
	if (!rc)
		rc = check_redis("input_redis", f->input_redis, err);
	if (!rc)
		rc = check_redis("output_redis", f->output_redis, err);
	bool runnable = f->image || json_object_size(f->images) > 0 || f->command || f->exec.exec;
	if (!rc && !runnable)
		rc = err_set(err, ERR_INVALID,
			     "one of the fields \"image\", \"images\" (or \"command\" or \"exec\", for nodes without containers) is "
			     "needed");
	return rc;
}

static bool copy_text(char **into, const char *text)
{
	if (!text)
		return true;
	*into = strdup(text);
	return *into != NULL;
}

int task_spec_parse(json_t *object, struct task_spec *spec, struct err *err)
{
	*spec = (struct task_spec){0};
	struct fields f = {.cpus = 1, .max_attempts = ATTEMPTS_DEFAULT, .auto_finish_after_s = AUTO_FINISH_AFTER_S};
	enum delivery delivery = DELIVERY_DIRECT;
	bool outbound = false;
	bool pop_left = false;
	struct exec_spec exec = {0};
	int rc = read_fields(object, &f, err);
	if (!rc)
		rc = check_fields(&f, err);
	if (!rc)
		rc = read_delivery(&f, &delivery, err);
	if (!rc)
		rc = read_exec(&f, delivery, &exec, err);
	if (!rc)
		rc = read_choice("network", f.network, "none", "outbound", &outbound, err);
	if (!rc)
		rc = read_choice("pop", f.pop, "right", "left", &pop_left, err);
	if (rc)
		return rc;

	*spec = (struct task_spec){.delivery = delivery,
				   .images = json_incref(f.images),
				   .command = json_incref(f.command),
				   .env = json_incref(f.env),
				   .memory_mb = f.memory_mb,
				   .cpus = f.cpus,
				   .network = outbound ? TASK_NETWORK_OUTBOUND : TASK_NETWORK_NONE,
				   .concurrency = f.concurrency,
				   .max_attempts = f.max_attempts,
				   .item_timeout_s = f.item_timeout_s,
				   .require_result = f.require_result,
				   .pop_left = pop_left,
				   .auto_finish = f.auto_finish,
				   .auto_finish_after_s = f.auto_finish_after_s,
				   .exec = exec};
	(void)json_incref(spec->exec.command);
	bool copied = copy_text(&spec->name, f.name) && copy_text(&spec->image, f.image) &&
		      copy_text(&spec->input_redis, f.input_redis) && copy_text(&spec->output_redis, f.output_redis) &&
		      copy_text(&spec->input_queue, f.input_queue) && copy_text(&spec->output_queue, f.output_queue);
	return copied ? 0 : err_set(err, ERR_NOMEM, "out of memory");
}

void task_spec_done(struct task_spec *spec)
{
	free(spec->name);
	free(spec->image);
	free(spec->input_redis);
	free(spec->output_redis);
	free(spec->input_queue);
	free(spec->output_queue);
	json_decref(spec->images);
	json_decref(spec->command);
	json_decref(spec->env);
	json_decref(spec->exec.command);
	*spec = (struct task_spec){0};
}

static int set_url(json_t *object, const char *field, const char *url, bool masked)
{
	if (!url || !masked)
		return json_set_text(object, field, url);
	AUTO_FREE char *safe = url_masked(url);
	return safe ? json_set_text(object, field, safe) : ERR_NOMEM;
}

static int set_json(json_t *object, const char *field, json_t *value)
{
	return json_object_set_new(object, field, value ? json_incref(value) : json_null()) ? ERR_NOMEM : 0;
}

static bool set_lease_fields(json_t *object, const struct task_spec *spec)
{
	json_t *fields = json_pack("{s:s, s:s, s:I, s:I, s:I, s:b, s:b, s:I}", "network", task_network_name(spec->network), "pop",
				   spec->pop_left ? "left" : "right", "concurrency", spec->concurrency, "max_attempts",
				   spec->max_attempts, "item_timeout", spec->item_timeout_s, "require_result",
				   (int)spec->require_result, "auto_finish", (int)spec->auto_finish, "auto_finish_after",
				   spec->auto_finish_after_s);
	bool set = fields && json_object_update(object, fields) == 0;
	json_decref(fields);
	return set;
}

const char *delivery_name(enum delivery delivery)
{
	return delivery == DELIVERY_LEASED ? "leased" : "direct";
}

const char *task_network_name(enum task_network network)
{
	return network == TASK_NETWORK_OUTBOUND ? "outbound" : "none";
}

json_t *task_spec_to_json(const struct task_spec *spec, bool masked)
{
	json_t *object = json_object();
	bool failed = !object || json_set_text(object, "name", spec->name) ||
		      json_set_text(object, "image", spec->image) || set_json(object, "images", spec->images) ||
		      set_url(object, "input_redis", spec->input_redis, masked) ||
		      set_url(object, "output_redis", spec->output_redis, masked) ||
		      json_set_text(object, "input_queue", spec->input_queue) ||
		      json_set_text(object, "output_queue", spec->output_queue) ||
		      json_set_text(object, "delivery", delivery_name(spec->delivery)) || set_json(object, "command", spec->command) ||
		      set_json(object, "env", spec->env) ||
		      json_object_set_new(object, "memory_mb",
					  spec->memory_mb ? json_integer(spec->memory_mb) : json_null()) ||
		      json_object_set_new(object, "cpus", json_integer(spec->cpus)) ||
		      (spec->delivery == DELIVERY_LEASED && !set_lease_fields(object, spec)) ||
		      (spec->exec.command && !exec_spec_put(object, &spec->exec));
	if (failed) {
		json_decref(object);
		return NULL;
	}
	return object;
}

const char *task_spec_image(const struct task_spec *spec, const char *platform)
{
	const char *image = json_string_value(json_object_get(spec->images, platform));
	return image ? image : spec->image;
}
