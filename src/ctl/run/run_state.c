/* Owns the file by which a run can be taken up again. Called by run and attach; a disk that refuses it costs only that. */
#include "ctl/run/run_state.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STATE_MAX = 4 * 1024 * 1024, PATH_BYTES = 4096 };

/* In the person's own place, whoever that is. A task's name may have any character but '/'. */
static char *state_path(const char *task)
{
	const char *state_home = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");
	struct buf path;
	buf_init(&path, PATH_BYTES);
	int rc = ERR_NOT_FOUND;
	if (state_home && state_home[0] == '/')
		rc = buf_printf(&path, "%s/idm-gridcore/runs/%s.json", state_home, task);
	else if (home && home[0] == '/')
		rc = buf_printf(&path, "%s/.local/state/idm-gridcore/runs/%s.json", home, task);
	char *text = rc ? NULL : buf_steal(&path);
	buf_done(&path);
	return text;
}

void run_state_begin(struct run_state *state, const char *hub, const char *task)
{
	*state = (struct run_state){.path = state_path(task)};
	if (state->path)
		state->object = json_pack("{s:s, s:s}", "hub", hub, "task", task);
}

int run_state_load(struct run_state *state, const char *hub, const char *task, struct err *err)
{
	struct buf text;
	*state = (struct run_state){.path = state_path(task)};
	buf_init(&text, STATE_MAX);
	int rc = state->path ? file_read(state->path, &text, err) : ERR_NOT_FOUND;
	if (!rc)
		state->object = json_loadb(buf_text(&text), text.len, 0, NULL);
	buf_done(&text);
	if (rc && rc != ERR_NOT_FOUND)
		return rc;
	const char *of = json_string_value(json_object_get(state->object, "hub"));
	if (!state->object || (of && strcmp(of, hub) == 0))
		return 0;
	json_decref(state->object); /* a run of the same name at another hub: not ours */
	state->object = NULL;
	return 0;
}

void run_state_set(struct run_state *state, const char *field, json_t *value)
{
	if (state->object)
		(void)json_object_set_new(state->object, field, value);
	else
		json_decref(value);
}

void run_state_save(struct run_state *state)
{
	AUTO_FREE char *text = state->object ? json_dumps(state->object, JSON_INDENT(1)) : NULL;
	AUTO_FREE char *directory = text ? file_directory(state->path) : NULL;
	if (!directory || file_make_directories(directory, 0700, NULL) || file_replace(state->path, text, strlen(text), 0600, NULL))
		return; /* only what attach does by itself is lost */
}

void run_state_remove(struct run_state *state)
{
	if (state->object && state->path)
		(void)unlink(state->path);
}

void run_state_done(struct run_state *state)
{
	json_decref(state->object);
	free(state->path);
	*state = (struct run_state){0};
}

/* ---- the input ---- */

static json_t *absolute(const char *path)
{
	AUTO_FREE char *here = path[0] == '/' ? NULL : getcwd(NULL, 0);
	return here ? json_sprintf("%s/%s", here, path) : json_string(path);
}

static json_t *paths_of(const struct option_texts *files)
{
	json_t *paths = json_array();
	for (size_t i = 0; paths && i < files->count; i++) {
		if (strcmp(files->items[i], "-") == 0 || json_array_append_new(paths, absolute(files->items[i]))) {
			json_decref(paths);
			return NULL;
		}
	}
	return paths;
}

/* Standard input that is a file, read from its beginning, has a name by which it is found again. */
static json_t *standard_input(void)
{
	char path[PATH_BYTES];
	struct stat seen;
	struct stat named;
	ssize_t len = readlink("/proc/self/fd/0", path, sizeof(path) - 1);
	if (len <= 0 || fstat(STDIN_FILENO, &seen) || !S_ISREG(seen.st_mode) || lseek(STDIN_FILENO, 0, SEEK_CUR) != 0)
		return NULL;
	path[len] = '\0';
	bool same = stat(path, &named) == 0 && named.st_dev == seen.st_dev && named.st_ino == seen.st_ino;
	return same ? json_pack("[s]", path) : NULL;
}

static json_t *groups_of(const struct run_words *words)
{
	json_t *groups = json_array();
	for (size_t i = 0; groups && i < words->group_count; i++) {
		json_t *group = json_array();
		bool failed = json_array_append_new(groups, group) != 0;
		for (size_t j = 0; !failed && j < words->groups[i].count; j++)
			failed = json_array_append_new(group, json_string(words->groups[i].arguments[j])) != 0;
		if (failed) {
			json_decref(groups);
			return NULL;
		}
	}
	return groups;
}

int run_state_set_input(struct run_state *state, const struct run_options *options, const struct run_words *words, struct err *err)
{
	json_t *input = json_object();
	if (!input)
		return err_set(err, ERR_NOMEM, "out of memory");
	json_t *value = words->group_count	? groups_of(words)
			: options->directory	? absolute(options->directory)
			: options->files.count	? paths_of(&options->files)
						: standard_input();
	const char *field = words->group_count ? "groups" : options->directory ? "directory" : "files";
	if (value && json_object_set_new(input, field, value)) {
		json_decref(input);
		return err_set(err, ERR_NOMEM, "out of memory");
	}
	(void)json_object_set_new(input, "nul", json_boolean(options->nul));
	run_state_set(state, "input", input);
	return 0;
}

int run_state_set_output(struct run_state *state, const struct run_output_options *output, const char *const *command,
			 size_t command_len, enum result_layout layout, bool json, struct err *err)
{
	json_t *words = json_array();
	for (size_t i = 0; words && i < command_len; i++)
		(void)json_array_append_new(words, json_string(command[i]));
	json_t *object = json_pack("{s:b, s:b, s:b, s:i, s:o?, s:o?, s:o}", "keep_order", output->keep_order, "tag",
				   output->tag, "json", json, "layout", (int)layout,
				   "results", output->results ? absolute(output->results) : NULL, "joblog",
				   output->joblog ? absolute(output->joblog) : NULL, "command", words);
	if (!object)
		return err_set(err, ERR_NOMEM, "out of memory");
	run_state_set(state, "output", object);
	return 0;
}
