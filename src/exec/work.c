/* Owns the reading of what a task wants. Called by main once; the hub has checked it, so what is refused here comes from an agent
 * that is newer than we are, or broken. */
#include "exec/work.h"

#include "base/json.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 1000, MAX_RESULT = 8 * 1024 * 1024, DEFAULT_RESULT = 1024 * 1024 };

static const char *const FORMATS[] = {[RESULT_PLAIN] = "plain", [RESULT_TAG] = "tag", [RESULT_JSON] = "json", NULL};
static const char *const ENDS[] = {[ITEM_END_NEWLINE] = "newline", [ITEM_END_NUL] = "nul", [ITEM_END_NONE] = "none", NULL};
static const char *const ITEM_FORMATS[] = {"plain", "numbered", NULL};

/* The word's place in the list; it stays as it is where there is no word. */
static int choose(const char *field, const char *word, const char *const *words, unsigned *choice, struct err *err)
{
	for (unsigned i = 0; word && words[i]; i++) {
		if (strcmp(word, words[i]) == 0) {
			*choice = i;
			return 0;
		}
	}
	return word ? err_set(err, ERR_INVALID, "field \"%s\" has a value that this gridexec does not know", field) : 0;
}

static int read_command(struct work *work, json_t *exec, struct err *err)
{
	size_t count = json_array_size(exec);
	if (count == 0)
		return err_set(err, ERR_INVALID, "field \"exec\" names no command");
	const char **words = calloc(count, sizeof(*words));
	if (!words)
		return err_set(err, ERR_NOMEM, "out of memory");
	for (size_t i = 0; i < count; i++)
		words[i] = json_string_value(json_array_get(exec, i));
	int rc = template_init(&work->template, words, count, err);
	free(words);
	return rc;
}

static int read_choices(struct work *work, const char *result, const char *item, const char *end, struct err *err)
{
	unsigned format = RESULT_PLAIN, numbered = 0, item_end = ITEM_END_NEWLINE;
	int rc = choose("result_format", result, FORMATS, &format, err);
	if (!rc)
		rc = choose("item_format", item, ITEM_FORMATS, &numbered, err);
	if (!rc)
		rc = choose("item_end", end, ENDS, &item_end, err);
	work->result_format = format;
	work->numbered = numbered;
	work->item_end = item_end;
	return rc;
}

int work_read(struct work *work, const char *text, size_t len, struct err *err)
{
	*work = (struct work){0};
	json_t *exec = NULL, *timeout = NULL;
	json_int_t batch = 1, max_result = DEFAULT_RESULT;
	const char *result_format = NULL, *item_format = NULL, *item_end = NULL;
	const struct json_field fields[] = {
		{.name = "exec", .type = JSON_FIELD_STRINGS, .into = &exec, .required = true},
		{.name = "batch", .type = JSON_FIELD_INTEGER, .into = &batch, .min = 1, .max = BATCH_MAX},
		{.name = "max_result", .type = JSON_FIELD_INTEGER, .into = &max_result, .min = 1, .max = MAX_RESULT},
		{.name = "result_format", .type = JSON_FIELD_STRING, .into = &result_format},
		{.name = "item_format", .type = JSON_FIELD_STRING, .into = &item_format},
		{.name = "item_end", .type = JSON_FIELD_STRING, .into = &item_end},
		{.name = "item_timeout", .type = JSON_FIELD_ANY, .into = &timeout},
		{.name = "output_queue", .type = JSON_FIELD_STRING, .into = &work->output_queue},
	};
	int rc = json_parse_object(text, len, &work->document, err);
	if (!rc)
		rc = json_read_fields(work->document, fields, sizeof(fields) / sizeof(fields[0]), false, err);
	if (!rc)
		rc = read_choices(work, result_format, item_format, item_end, err);
	if (!rc)
		rc = read_command(work, exec, err);
	if (rc)
		return rc;
	work->batch = work->template.takes_item ? 1 : (size_t)batch;
	work->max_result = (size_t)max_result;
	work->item_timeout = json_number_value(timeout);
	return 0;
}

void work_done(struct work *work)
{
	template_done(&work->template);
	json_decref(work->document);
	*work = (struct work){0};
}
