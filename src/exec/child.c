/* Owns the run of one command. Called by main, item by item; knows nothing of items, and never lets a command hang it: what does
 * not read its input, does not end its output, or does not end, is waited for no longer than it may.
 *
 *   RUNNING --it ended; its output is at its end--------------------------------------> DONE
 *      |  |--it ended, but somebody still holds its output--> LINGERING --end, or a moment--^
 *      |  |--too long, too much, the peer is gone--> KILLED ------it ended------------------^
 *      |                                              ^ 2 s
 *      +--we are to end--> STOPPING (its group has SIGTERM) ------it ended------------------^
 *
 * DONE: its group is killed before it is reaped (until then nobody else can have its number), and every other descendant after
 * that; then what is still in the pipes is taken. */
#include "exec/child.h"

#include "base/clock.h"
#include "exec/descendants.h"
#include "exec/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { CHUNK = 64 * 1024, GRACE_MS = 100, TERM_MS = 2000, KEPT_BYTES = 1024 * 1024, ROUNDS_MAX = 32 };

enum phase { RUNNING, STOPPING, KILLED, LINGERING, DONE };

struct run {
	struct child *child;
	const struct child_order *order;
	struct child_report *report;
	enum phase phase;
	int64_t deadline_ms; /* of the phase; 0: none */
	double begun;        /* by the monotonic clock, in seconds */
	pid_t pid;
	int input, output, errors; /* our ends; -1: closed, and at its end */
	size_t fed;                /* bytes of the input that it has */
	bool decided;              /* why it ends is in the report; the first reason stays */
};

static double seconds_of(clockid_t clock)
{
	struct timespec now;
	(void)clock_gettime(clock, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void close_end(int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
	*fd = -1;
}

int child_init(struct child *child, char *const *environment, struct err *err)
{
	*child = (struct child){.environment = environment};
	command_paths_init(&child->paths);
	buf_init(&child->output, 0); /* each command brings its own cap */
	child->null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return child->null < 0 ? err_from_errno(err, errno, "/dev/null") : 0;
}

void child_done(struct child *child)
{
	command_paths_done(&child->paths);
	buf_done(&child->output);
	close_end(&child->null);
}

static void clear_output(struct child *child, size_t max)
{
	if (child->output.capacity > KEPT_BYTES)
		buf_done(&child->output);
	buf_clear(&child->output);
	child->output.cap = max;
	tail_clear(&child->errors);
}

/* ---- why it ends, and how ---- */

static void decide(struct run *run, enum child_end end, int number)
{
	if (run->decided)
		return;
	run->decided = true;
	run->report->end = end;
	run->report->number = number;
}

/* The command itself too: it may have left its group. */
static void signal_group(const struct run *run, int number)
{
	(void)kill(-run->pid, number);
	(void)kill(run->pid, number);
}

static void end_by_force(struct run *run, enum child_end end)
{
	if (run->phase == LINGERING || run->phase == DONE) { /* it has ended, but is no success after all */
		run->report->end = run->report->end == CHILD_EXITED ? end : run->report->end;
		run->phase = DONE;
		return;
	}
	decide(run, end, 0);
	signal_group(run, SIGKILL);
	run->phase = KILLED;
	run->deadline_ms = 0;
}

static void stop(struct run *run)
{
	if (run->phase == RUNNING) {
		decide(run, CHILD_STOPPED, 0);
		signal_group(run, SIGTERM);
		run->phase = STOPPING;
		run->deadline_ms = clock_monotonic_ms() + TERM_MS;
	} else if (run->phase == LINGERING) {
		end_by_force(run, CHILD_STOPPED);
	}
}

/* ---- its descriptors ---- */

static void feed(struct run *run)
{
	size_t left = run->order->input_len - run->fed;
	ssize_t len = left ? write(run->input, run->order->input + run->fed, left) : 0;
	if (len > 0)
		run->fed += (size_t)len;
	/* A command need not read all that it is given (EPIPE). */
	if (run->fed == run->order->input_len || (len < 0 && errno != EAGAIN && errno != EINTR))
		close_end(&run->input);
}

static void take_output(struct run *run)
{
	static char chunk[CHUNK];
	ssize_t len = read(run->output, chunk, sizeof(chunk));
	if (len < 0 && errno == EINTR)
		return;
	if (len <= 0) {
		close_end(&run->output);
		return;
	}
	int rc = buf_add(&run->child->output, chunk, (size_t)len);
	if (!rc)
		return;
	close_end(&run->output);
	end_by_force(run, rc == ERR_TOO_BIG ? CHILD_TOO_MUCH : CHILD_NO_MEMORY);
}

static void take_errors(struct run *run)
{
	static char chunk[CHUNK];
	ssize_t len = read(run->errors, chunk, sizeof(chunk));
	if (len > 0)
		tail_add(&run->child->errors, chunk, (size_t)len);
	else if (len == 0 || errno != EINTR)
		close_end(&run->errors);
}

/* Until both are at their end, or nothing more is there; no more than pipes hold, should somebody who is none of ours write on. */
static void take_what_is_left(struct run *run)
{
	for (int rounds = 0; rounds < ROUNDS_MAX && (run->output >= 0 || run->errors >= 0); rounds++) {
		struct pollfd fds[] = {{.fd = run->output, .events = POLLIN}, {.fd = run->errors, .events = POLLIN}};
		if (poll(fds, 2, 0) <= 0)
			return;
		if (fds[0].revents)
			take_output(run);
		if (fds[1].revents)
			take_errors(run);
	}
}

/* ---- its end ---- */

static void on_command_ended(struct run *run, const siginfo_t *info)
{
	run->report->seconds = seconds_of(CLOCK_MONOTONIC) - run->begun;
	decide(run, info->si_code == CLD_EXITED ? CHILD_EXITED : CHILD_KILLED, info->si_status);
	close_end(&run->input);
	bool at_end = run->output < 0 && run->errors < 0;
	run->phase = run->phase == RUNNING && !at_end ? LINGERING : DONE;
	run->deadline_ms = clock_monotonic_ms() + GRACE_MS;
}

/* Reaps orphans that became ours; the command stays a zombie, so that its number stays its own. */
static void look_at_children(struct run *run)
{
	for (;;) {
		siginfo_t info = {0};
		if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid == 0)
			return;
		if (info.si_pid == run->pid) {
			on_command_ended(run, &info);
			return;
		}
		(void)waitpid(info.si_pid, NULL, 0);
	}
}

static void on_deadline(struct run *run)
{
	switch (run->phase) {
	case RUNNING:
		end_by_force(run, CHILD_TIMED_OUT);
		break;
	case STOPPING:
		end_by_force(run, CHILD_STOPPED);
		break;
	case LINGERING:
		run->phase = DONE;
		break;
	default:
		break;
	}
}

static void step(struct run *run)
{
	struct pollfd fds[] = {
		{.fd = run->output, .events = POLLIN},
		{.fd = run->errors, .events = POLLIN},
		{.fd = run->input, .events = POLLOUT},
		{.fd = run->phase == KILLED ? -1 : run->order->peer, .events = POLLRDHUP},
	};
	int news = signals_poll(fds, sizeof(fds) / sizeof(fds[0]), run->deadline_ms);
	if (news && fds[0].revents)
		take_output(run);
	if (news && fds[1].revents)
		take_errors(run);
	if (news && fds[2].revents && run->input >= 0)
		feed(run);
	if (news && fds[3].revents)
		end_by_force(run, CHILD_ABANDONED);
	if (run->phase == LINGERING && run->output < 0 && run->errors < 0)
		run->phase = DONE;
	if (signals_stop_asked())
		stop(run);
	if (run->phase != LINGERING && run->phase != DONE && signals_child_ended())
		look_at_children(run);
	if (run->deadline_ms && run->phase != DONE && clock_monotonic_ms() >= run->deadline_ms)
		on_deadline(run);
}

static void finish(struct run *run)
{
	(void)kill(-run->pid, SIGKILL);
	(void)waitpid(run->pid, NULL, 0);
	descendants_end();
	take_what_is_left(run);
	close_end(&run->input);
	close_end(&run->output);
	close_end(&run->errors);
}

/* ---- its start ---- */

/* The pipes' other ends, which are the command's. */
struct ends {
	int input, output, errors;
};

static int open_pipes(struct run *run, struct ends *theirs)
{
	int output[2], errors[2], input[2];
	if (pipe2(output, O_CLOEXEC))
		return errno;
	run->output = output[0];
	theirs->output = output[1];
	if (pipe2(errors, O_CLOEXEC))
		return errno;
	run->errors = errors[0];
	theirs->errors = errors[1];
	if (!run->order->input)
		return 0;
	if (pipe2(input, O_CLOEXEC))
		return errno;
	run->input = input[1];
	theirs->input = input[0];
	if (fcntl(run->input, F_SETFL, O_NONBLOCK))
		return errno;
	feed(run); /* most inputs are in the pipe before there is a command */
	return 0;
}

static int start(struct run *run)
{
	struct ends theirs = {-1, -1, -1};
	int error = open_pipes(run, &theirs);
	if (!error) {
		struct spawn spawn = {
			.argv = run->order->argv,
			.environment = run->child->environment,
			.input = theirs.input >= 0 ? theirs.input : run->child->null,
			.output = theirs.output,
			.errors = theirs.errors,
		};
		run->report->started = seconds_of(CLOCK_REALTIME);
		run->begun = seconds_of(CLOCK_MONOTONIC);
		error = spawn_command(&spawn, &run->child->paths, &run->pid);
	}
	close_end(&theirs.input);
	close_end(&theirs.output);
	close_end(&theirs.errors);
	return error;
}

void child_run(struct child *child, const struct child_order *order, struct child_report *report)
{
	struct run run = {.child = child, .order = order, .report = report, .input = -1, .output = -1, .errors = -1};
	*report = (struct child_report){0};
	clear_output(child, order->max_output);
	int error = start(&run);
	if (error) {
		close_end(&run.input);
		close_end(&run.output);
		close_end(&run.errors);
		decide(&run, CHILD_NOT_STARTED, error);
		return;
	}
	run.deadline_ms = order->timeout_ms ? clock_monotonic_ms() + order->timeout_ms : 0;
	while (run.phase != DONE)
		step(&run);
	finish(&run);
}
