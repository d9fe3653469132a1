/* `gridctl run`: a command over all items of an input. Owns what comes before the task is registered: the options, the input's first
 * item, the task itself. Then run_flow.c goes on. */
#include "ctl/run/run_parts.h"

#include "base/cleanup.h"
#include "base/text.h"
#include "ctl/run/dry_run.h"
#include "ctl/run/joblog.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

extern const struct command COMMAND_RUN;

static struct item_source *open_source(struct ctl *ctl, const struct run_options *options, const struct run_words *words,
				       struct err *err)
{
	if (words->group_count)
		return item_product_new(words->groups, words->group_count, err);
	if (options->directory)
		return item_folder_new(options->directory, err);
	struct item_source *source = item_stream_new(&ctl->loop, options->files.items, options->files.count,
						     options->nul ? ITEM_END_NUL : ITEM_END_NEWLINE);
	if (!source)
		(void)err_set(err, ERR_NOMEM, "out of memory");
	return source;
}

static void on_ready(void *context)
{
	*(bool *)context = true;
}

/* An input without items needs no task. */
static int wait_for_first(struct run *run, struct err *err)
{
	bool there = false;
	for (;;) {
		bool ready = false;
		item_source_listen(run->input.source, on_ready, &ready);
		int rc = run_input_peek(&run->input, &there, err);
		if (rc || there)
			return rc;
		rc = ctl_wait(run->ctl, &ready, err);
		if (rc)
			return rc;
	}
}

static int64_t count_before(const struct bits *bits)
{
	int64_t count = 0;
	for (size_t i = 0; i < bits->size; i++)
		count += __builtin_popcount(bits->bytes[i]);
	return count;
}

static int read_joblog(struct run *run, const struct run_options *options, struct err *err)
{
	run->resume_log = options->resume || options->resume_failed;
	if (!run->resume_log)
		return 0;
	int rc = joblog_read(options->output.joblog, options->resume_failed, &run->tracker.before, err);
	run->before_count = count_before(&run->tracker.before);
	return rc;
}

/* ---- the task ---- */

/* A name that a person chose may have been used before, and its queues may still hold something: this run's are its own. */
static int name_queues(json_t *task, const char *name, struct err *err)
{
	char own[RUN_NAME_SIZE + 16];
	task_options_draw_name(":", own, sizeof(own));
	const char *letters = strrchr(own, '-') + 1;
	return json_object_set_new(task, "input_queue", json_sprintf("%s:%s:in", name, letters)) ||
			       json_object_set_new(task, "output_queue", json_sprintf("%s:%s:out", name, letters))
		       ? err_set(err, ERR_NOMEM, "out of memory")
		       : 0;
}

static json_t *form_task(const struct run *run, const struct run_options *options, struct err *err)
{
	struct task_options task = options->task;
	task.name = run->name;
	AUTO_JSON json_t *body = task_options_to_json(&task, run->command, run->command_len, err);
	const char *end = options->directory ? "none" : options->nul ? "nul" : "newline";
	if (!body || (options->task.name && name_queues(body, run->name, err)))
		return NULL;
	if (json_object_set_new(body, "result_format", json_string("json")) ||
	    json_object_set_new(body, "item_format", json_string("numbered")) ||
	    json_object_set_new(body, "item_end", json_string(end))) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	return steal(body);
}

static int submit(struct run *run, const struct run_options *options, struct err *err)
{
	json_t *task = form_task(run, options, err);
	if (!task)
		return (int)err->code;
	AUTO_JSON json_t *answer = NULL;
	int rc = hub_post(run->ctl, "/api/tasks", task, NULL, &answer, err);
	if (!rc)
		run_name_push(run, answer);
	if (rc == ERR_EXISTS)
		return err_set(err, ERR_EXISTS, "there is a task \"%s\" already: gridctl attach %s, or choose another --name", run->name,
			       run->name);
	return rc;
}

/* A directory that cannot be written to is better known before anything runs. */
static int prepare_results(const struct run_output_options *output, struct err *err)
{
	struct stat seen;
	const char *path = output->results;
	if (!path || mkdir(path, 0777) == 0)
		return 0;
	if (errno != EEXIST || stat(path, &seen))
		return err_from_errno(err, errno, "%s", path);
	if (!S_ISDIR(seen.st_mode))
		return err_from_errno(err, ENOTDIR, "%s", path);
	return access(path, W_OK | X_OK) ? err_from_errno(err, errno, "%s", path) : 0;
}

static int begin(struct run *run, const struct run_options *options, const struct run_words *words, struct err *err)
{
	int rc = prepare_results(&options->output, err);
	if (!rc)
		rc = wait_for_first(run, err);
	if (rc || run->input.is_empty)
		return rc;
	rc = run_results_open_log(run, err);
	if (!rc)
		rc = submit(run, options, err);
	if (rc)
		return rc;
	ctl_note(run->ctl, "task %s is at the hub; to come back to it: gridctl attach %s", run->name, run->name);
	run_state_begin(&run->state, run->ctl->config.hub.value, run->name);
	rc = run_state_set_output(&run->state, &options->output, run->command, run->command_len, run->layout,
				  run->ctl->globals.json, err);
	if (!rc && !run->resume_log) /* what was passed over cannot be told again from a job log that has grown */
		rc = run_state_set_input(&run->state, options, words, err);
	run_state_save(&run->state);
	return rc;
}

static int run_with(struct ctl *ctl, const struct command_call *call, struct run_words *words, struct run *run)
{
	const struct run_options *options = call->options;
	struct err err = {0};
	char name[RUN_NAME_SIZE];
	int rc = halt_parse(options->halt ? options->halt : "never", &run->halt, &err);
	if (rc)
		return ctl_usage(ctl, call->command, "%s", err.text);
	rc = read_joblog(run, options, &err);
	struct item_source *source = rc ? NULL : open_source(ctl, options, words, &err);
	if (!source)
		return ctl_fail(ctl, &err);
	run_input_init(&run->input, source, &run->tracker);
	if (options->dry_run)
		return dry_run(ctl, options, words, &run->input);
	int status = ctl_load(ctl, false);
	if (!status)
		status = ctl_connect(ctl, false);
	if (status)
		return status;
	text_copy(name, sizeof(name), options->task.name ? options->task.name : "");
	if (!*name)
		task_options_draw_name(words->command[0], name, sizeof(name));
	run->name = name;
	rc = begin(run, options, words, &err);
	if (rc)
		return ctl_fail(ctl, &err);
	if (run->input.is_empty) {
		ctl_note(ctl, run->before_count ? "nothing is left to do" : "no items: nothing to do");
		return CTL_OK;
	}
	return run_flow(run);
}

void run_name_push(struct run *run, json_t *task)
{
	const char *id = json_string_value(json_object_get(task, "id"));
	(void)snprintf(run->push_id, sizeof(run->push_id), "run-%.50s", id ? id : "");
}

void run_done(struct run *run)
{
	run_input_done(&run->input);
	tracker_done(&run->tracker);
	bits_done(&run->reported);
	run_state_done(&run->state);
	if (run->joblog_fd >= 0)
		(void)close(run->joblog_fd);
}

static int run_command(struct ctl *ctl, const struct command_call *call)
{
	const struct run_options *options = call->options;
	struct run_words words;
	struct err err = {0};
	int rc = run_words_split(&words, call->operands, call->operand_count, &err);
	if (!rc)
		rc = run_words_append(&words, &err);
	if (!rc)
		rc = run_options_check(options, ctl->globals.json, &words, &err);
	if (rc) {
		run_words_done(&words);
		return ctl_usage(ctl, call->command, "%s", err.text);
	}
	struct run *run = calloc(1, sizeof(*run));
	int status = CTL_FAILED;
	if (run) {
		*run = (struct run){.ctl = ctl,
				    .output = &options->output,
				    .joblog_fd = -1,
				    .command = words.command,
				    .command_len = words.command_len,
				    .layout = words.group_count	 ? LAYOUT_VALUES
					      : options->directory ? LAYOUT_NAMES
								   : LAYOUT_SEQ};
		status = run_with(ctl, call, &words, run);
		run_done(run);
	} else {
		ctl_error(ctl, "out of memory");
	}
	run_words_done(&words);
	free(run);
	return status;
}

static const struct run_options DEFAULTS = {.task = TASK_OPTIONS_BEFORE};

static const char HELP[] =
	"Runs COMMAND once for each item on the machines that have joined the hub, and\n"
	"writes the results to standard output as they come. Items are the lines of\n"
	"standard input, the arguments behind :::, the lines of -a FILE, or the files of\n"
	"--dir DIR. In COMMAND\n"
	"\n"
	"  {}   is the item             {/}   its last part, behind the last '/'\n"
	"  {.}  without its extension   {//}  its directory\n"
	"  {#}  its number, from 1      {/.}  its last part without extension\n"
	"  {1} to {9}: its columns, between TABs; of several ::: one each\n"
	"\n"
	"Without one of them an item comes on standard input (arguments of ::: behind the\n"
	"command, as with GNU parallel). No shell is in between: sh -c '…' asks for one.\n"
	"\n"
	"An item whose command ends with another status than 0, or by a signal, is tried\n"
	"again, elsewhere if possible, and has failed after --retries attempts. Ctrl-C asks\n"
	"whether the run shall be kept or cancelled; gridctl attach comes back to it.\n"
	"\n"
	"Exit status: the number of failed items, up to 100; 101 for more; 130 when it was\n"
	"left or cancelled. (1, 2, 69, 77, 78 also when the run itself could not be done.)";

const struct command COMMAND_RUN = {
	.name = "run",
	.group = GROUP_WORK,
	.usage = "[--image IMAGE] [OPTIONS] -- COMMAND… [::: ITEM…]…",
	.purpose = "Run a command for each item, on all machines, and print the results",
	.help = HELP,
	.options = &RUN_OPTIONS,
	.defaults = &DEFAULTS,
	.options_size = sizeof(DEFAULTS),
	.min_operands = 1,
	.max_operands = SIZE_MAX,
	.operand_hint = HINT_COMMAND,
	.stop_at_operand = true,
	.offline = true, /* --dry-run is */
	.run = run_command,
};
