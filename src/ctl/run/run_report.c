/* Owns the last words of a run: what failed, how many, and how to come back. Called once, when everything else is done. */
#include "ctl/run/run_parts.h"

#include "ctl/run/placeholders.h"
#include "base/clock.h"

#include <string.h>

enum { FAILED_MOST = 100, FAILED_MORE = 101, SUMMARY_MAX = 1024 };

static int64_t failed_count(const struct run *run)
{
	return run->attached ? run->look.dead : run->tracker.failed_count;
}

/* Given out, and neither done nor among the dead letters. */
static int64_t missing_count(const struct run *run)
{
	int64_t given = run->attached ? run->pushed : run->tracker.given;
	int64_t ended = run->attached ? run->look.done + run->look.dead : run->tracker.finished_count + run->tracker.failed_count;
	return given > ended ? given - ended : 0;
}

static int status_of(int64_t failed)
{
	return failed > FAILED_MOST ? FAILED_MORE : (int)failed;
}

static void tell_failures(struct run *run)
{
	for (size_t i = 0; i < run->failure_count; i++) {
		if (run->attached || bits_has(&run->tracker.failed, run->failures[i].seq))
			ctl_error(run->ctl, "%s", run->failures[i].text);
	}
	int64_t failed = failed_count(run);
	if (failed > (int64_t)run->failure_count)
		ctl_error(run->ctl, "… and %lld more", (long long)(failed - (int64_t)run->failure_count));
}

static void tell_sum(struct run *run)
{
	struct buf text;
	int64_t done = run->attached ? run->look.done : run->tracker.finished_count;
	double seconds = (double)(clock_monotonic_ms() - run->begun_ms) / 1000;
	buf_init(&text, SUMMARY_MAX);
	int rc = progress_add_count(&text, done);
	if (!rc)
		rc = buf_printf(&text, " item%s done", done == 1 ? "" : "s");
	if (!rc && failed_count(run))
		rc = buf_printf(&text, ", %lld failed", (long long)failed_count(run));
	if (!rc && run->before_count)
		rc = buf_printf(&text, ", %lld before", (long long)run->before_count);
	if (!rc) {
		rc = buf_printf(&text, ", in ");
		if (!rc)
			rc = progress_add_seconds(&text, seconds);
	}
	if (!rc && !run->attached && done > 0 && seconds > 0) {
		rc = buf_printf(&text, " (");
		if (!rc)
			rc = progress_add_rate(&text, (double)done / seconds);
		if (!rc)
			rc = buf_printf(&text, ")");
	}
	if (!rc)
		ctl_note(run->ctl, "%s: %s", run->name, buf_text(&text));
	buf_done(&text);
}

/* A name as a shell takes it. */
static const char *quoted(const struct run *run, struct buf *into)
{
	return placeholders_quote(into, run->name, strlen(run->name)) ? run->name : buf_text(into);
}

static void tell_way_back(struct run *run, const char *name)
{
	json_t *input = json_object_get(run->state.object, "input");
	bool found_again = json_object_get(input, "files") || json_object_get(input, "groups") || json_object_get(input, "directory");
	ctl_error(run->ctl, "the task goes on at the hub, and others wait behind it; come back with:  gridctl attach %s", name);
	if (run->push_done)
		return;
	if (found_again)
		ctl_error(run->ctl, "%lld items are there; attach pushes the rest of the input",
			  (long long)run->tracker.given);
	else
		ctl_error(run->ctl,
			  "the items that were read so far are there; the rest of standard input is not, and cannot be pushed later");
}

static int tell_failed_run(struct run *run, const char *name)
{
	int status = ctl_fail(run->ctl, &run->err);
	if (run->err.code == ERR_CANCELLED) /* of a reader that went away others say nothing, but here a task is left */
		ctl_error(run->ctl, "%s", run->err.text);
	if (run->err.code != ERR_NOT_FOUND && !(run->given_up && run->hub_knows))
		tell_way_back(run, name);
	return status;
}

static int tell_end(struct run *run, const char *name)
{
	int64_t failed = failed_count(run);
	int64_t missing = run->phase == RUN_HALTED ? 0 : missing_count(run);
	tell_failures(run);
	tell_sum(run);
	if (missing)
		ctl_error(run->ctl, "%lld item%s no result here: %s", (long long)missing, missing == 1 ? " has" : "s have",
			  run->phase == RUN_ENDED ? "the task has ended"
						  : "somebody else took it, or Redis lost it");
	if (failed && run->phase != RUN_HALTED)
		ctl_error(run->ctl, "more about them:  gridctl dead list %s", name);
	return status_of(failed + missing);
}

int run_report(struct run *run)
{
	struct buf name;
	int status = CTL_INTERRUPTED;
	buf_init(&name, SUMMARY_MAX);
	const char *shell_name = quoted(run, &name);
	switch (run->phase) {
	case RUN_LEFT:
		tell_way_back(run, shell_name);
		break;
	case RUN_CANCELLED:
		if (run->hub_knows)
			ctl_error(run->ctl, "%s is cancelled, and what was left of it is dropped", shell_name);
		else
			ctl_error(run->ctl, "to cancel it:  gridctl cancel --purge %s", shell_name);
		break;
	case RUN_FAILED:
		status = tell_failed_run(run, shell_name);
		break;
	default:
		status = tell_end(run, shell_name);
		break;
	}
	buf_done(&name);
	return status;
}
