/* Owns the fields of tasks with `exec`: their defaults and rules. Called by task_spec and task_config; never runs anything. */
#include "proto/exec_spec.h"

#include "base/json.h"
#include "proto/limits.h"

#include <string.h>

enum { MAX_RESULT_DEFAULT = 1024 * 1024 };

static const char *const RESULT_FORMATS[] = {
	[EXEC_RESULT_PLAIN] = "plain", [EXEC_RESULT_TAG] = "tag", [EXEC_RESULT_JSON] = "json", NULL};
static const char *const ITEM_FORMATS[] = {"plain", "numbered", NULL};
static const char *const ITEM_ENDS[] = {
	[EXEC_ITEM_END_NEWLINE] = "newline", [EXEC_ITEM_END_NUL] = "nul", [EXEC_ITEM_END_NONE] = "none", NULL};

/* ---- placeholders ---- */

static const char *const OF_ITEM[] = {"{}", "{.}", "{/}", "{//}", "{/.}"};
static const char OF_NUMBER[] = "{#}";

static bool is_column(const char *at)
{
	return at[1] >= '1' && at[1] <= '9' && at[2] == '}';
}

static bool is_of_item(const char *at)
{
	for (size_t i = 0; i < sizeof(OF_ITEM) / sizeof(OF_ITEM[0]); i++) {
		if (strncmp(at, OF_ITEM[i], strlen(OF_ITEM[i])) == 0)
			return true;
	}
	return is_column(at);
}

struct exec_placeholders exec_spec_placeholders(const json_t *command)
{
	struct exec_placeholders found = {0};
	size_t i;
	json_t *part;
	json_array_foreach(command, i, part) {
		for (const char *at = json_string_value(part); at && (at = strchr(at, '{')); at++) {
			found.item |= is_of_item(at);
			found.number |= strncmp(at, OF_NUMBER, strlen(OF_NUMBER)) == 0;
		}
	}
	return found;
}

/* ---- reading ---- */

/* One of the words, as its place among them; absent means the first. */
static int read_word(const char *field, const char *given, const char *const *words, int *place, struct err *err)
{
	*place = 0;
	if (!given)
		return 0;
	for (int i = 0; words[i]; i++) {
		*place = i;
		if (strcmp(given, words[i]) == 0)
			return 0;
	}
	if (words[2])
		return err_set(err, ERR_INVALID, "field \"%s\" must be \"%s\", \"%s\" or \"%s\"", field, words[0], words[1], words[2]);
	return err_set(err, ERR_INVALID, "field \"%s\" must be \"%s\" or \"%s\"", field, words[0], words[1]);
}

static int check_command(const json_t *command, struct err *err)
{
	size_t count = json_array_size(command);
	size_t i;
	json_t *part;
	if (count == 0 || count > LIMIT_COMMAND_PARTS || json_string_length(json_array_get(command, 0)) == 0)
		return err_set(err, ERR_INVALID, "field \"exec\" must have 1 to %d strings, the first one not empty",
			       LIMIT_COMMAND_PARTS);
	json_array_foreach(command, i, part) {
		if (json_string_length(part) > LIMIT_ARGUMENT)
			return err_set(err, ERR_INVALID, "field \"exec\" has a string of more than %d bytes", LIMIT_ARGUMENT);
	}
	return 0;
}

/* Without a command none of the others means anything. */
static int check_absent(const struct exec_fields *f, struct err *err)
{
	const char *field = f->batch           ? "batch"
			    : f->max_result    ? "max_result"
			    : f->result_format ? "result_format"
			    : f->item_format   ? "item_format"
			    : f->item_end      ? "item_end"
					       : NULL;
	return field ? err_set(err, ERR_INVALID, "field \"%s\" needs the field \"exec\"", field) : 0;
}

static int check_together(const struct exec_spec *spec, struct err *err)
{
	struct exec_placeholders found = exec_spec_placeholders(spec->command);
	if (spec->batch > 1 && (found.item || found.number))
		return err_set(err, ERR_INVALID,
			       "field \"exec\" must not have placeholders such as {} with a \"batch\" of more than 1: those items "
			       "come on standard input");
	if (spec->batch > 1 && spec->item_end == EXEC_ITEM_END_NONE)
		return err_set(err, ERR_INVALID, "field \"item_end\" must not be \"none\" with a \"batch\" of more than 1");
	if (found.number && !spec->numbered)
		return err_set(err, ERR_INVALID, "field \"exec\" has {#}, which needs \"item_format\": \"numbered\"");
	return 0;
}

int exec_spec_read(const struct exec_fields *f, struct exec_spec *spec, struct err *err)
{
	int result_format = 0;
	int item_format = 0;
	int item_end = 0;
	*spec = (struct exec_spec){0};
	if (!f->exec)
		return check_absent(f, err);
	int rc = check_command(f->exec, err);
	if (!rc)
		rc = read_word("result_format", f->result_format, RESULT_FORMATS, &result_format, err);
	if (!rc)
		rc = read_word("item_format", f->item_format, ITEM_FORMATS, &item_format, err);
	if (!rc)
		rc = read_word("item_end", f->item_end, ITEM_ENDS, &item_end, err);
	if (rc)
		return rc;
	*spec = (struct exec_spec){.command = f->exec,
				   .batch = f->batch ? f->batch : 1,
				   .max_result = f->max_result ? f->max_result : MAX_RESULT_DEFAULT,
				   .result_format = (enum exec_result_format)result_format,
				   .numbered = item_format == 1,
				   .item_end = (enum exec_item_end)item_end};
	return check_together(spec, err);
}

/* ---- writing ---- */

bool exec_spec_put(json_t *object, const struct exec_spec *spec)
{
	json_t *fields = json_pack("{s:O, s:I, s:I, s:s, s:s, s:s}", "exec", spec->command, "batch", spec->batch, "max_result",
				   spec->max_result, "result_format", RESULT_FORMATS[spec->result_format], "item_format",
				   ITEM_FORMATS[spec->numbered], "item_end", ITEM_ENDS[spec->item_end]);
	bool put = fields && json_object_update(object, fields) == 0;
	json_decref(fields);
	return put;
}
