/* Owns how a process of ours becomes a command. Called by child.c; never waits for it.
 *
 * As posix_spawn does it, a child that shares our memory while we stand still (CLONE_VM, CLONE_VFORK), on a stack of its own:
 * nothing is copied. What went wrong comes through a pipe that a successful exec closes, since emulators and valgrind make a
 * plain fork of it: then nothing is shared, and nobody stands still. By hand, because the command also has to die with us
 * (PR_SET_PDEATHSIG): a gridexec that was killed must leave nothing that computes. */
#include "exec/spawn.h"

#include "exec/signals.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { STACK_SIZE = 64 * 1024, PATHS_CAP = 1024 * 1024 };

static const char DEFAULT_PATH[] = "/usr/local/bin:/usr/bin:/bin";

struct birth {
	const struct spawn *spawn;
	struct command_paths *paths;
	int report; /* the pipe's end for an errno value: what went wrong */
};

/* ---- where a command may be ---- */

void command_paths_init(struct command_paths *paths)
{
	*paths = (struct command_paths){0};
	buf_init(&paths->text, PATHS_CAP);
}

void command_paths_done(struct command_paths *paths)
{
	buf_done(&paths->text);
	free(paths->candidates);
	*paths = (struct command_paths){0};
}

/* One candidate per directory; an empty directory is the present one. */
static int add_candidates(struct buf *text, const char *name, const char *path, size_t *count)
{
	for (;;) {
		size_t len = strcspn(path, ":");
		int rc = len ? buf_printf(text, "%.*s/%s", (int)len, path, name) : buf_printf(text, "./%s", name);
		if (!rc)
			rc = buf_add(text, "", 1);
		if (rc)
			return rc;
		++*count;
		if (!path[len])
			return 0;
		path += len + 1;
	}
}

/* Forgets it all first, so that after a failure nothing is taken for known. */
static int look_up(struct command_paths *paths, const char *name)
{
	size_t count = 0;
	buf_clear(&paths->text);
	free(paths->candidates);
	*paths = (struct command_paths){.text = paths->text};
	const char *path = getenv("PATH");
	int rc = buf_add(&paths->text, name, strlen(name) + 1);
	if (rc)
		return rc;
	if (strchr(name, '/') || !*name) {
		rc = buf_add(&paths->text, name, strlen(name) + 1);
		count = 1;
	} else {
		rc = add_candidates(&paths->text, name, path ? path : DEFAULT_PATH, &count);
	}
	paths->candidates = rc ? NULL : calloc(count + 1, sizeof(*paths->candidates));
	if (!paths->candidates)
		return ERR_NOMEM;
	const char *at = paths->text.data + strlen(name) + 1;
	for (size_t i = 0; i < count; i++, at += strlen(at) + 1)
		paths->candidates[i] = at;
	paths->count = count;
	return 0;
}

static int prepare(struct command_paths *paths, const char *name)
{
	if (paths->count && strcmp(paths->text.data, name) == 0)
		return 0;
	return look_up(paths, name);
}

/* ---- in the child: system calls alone, on memory that is the parent's too ---- */

/* What says no more than that the command is not there. */
static bool goes_on(int error)
{
	return error == ENOENT || error == ENOTDIR || error == EACCES || error == ELOOP || error == ENAMETOOLONG;
}

__attribute__((no_sanitize("address", "undefined"))) static int execute(const struct birth *birth)
{
	struct command_paths *paths = birth->paths;
	const struct spawn *spawn = birth->spawn;
	size_t known = paths->found;
	int error = 0;
	/* Returns only if it failed. */
	(void)execve(paths->candidates[known], spawn->argv, spawn->environment);
	if (paths->count == 1 || !goes_on(errno))
		return errno;
	for (size_t i = 0; i < paths->count; i++) {
		paths->found = i;
		(void)execve(paths->candidates[i], spawn->argv, spawn->environment);
		if (!goes_on(errno))
			return errno;
		/* A directory that may not be entered is worth more to know than one in which there is nothing. */
		if (!error || errno == EACCES)
			error = errno;
	}
	paths->found = 0;
	return error;
}

__attribute__((no_sanitize("address", "undefined"))) static void report(const struct birth *birth, int error)
{
	while (write(birth->report, &error, sizeof(error)) < 0 && errno == EINTR) {
	}
}

__attribute__((no_sanitize("address", "undefined"))) static int become_command(void *argument)
{
	const struct birth *birth = argument;
	const struct spawn *spawn = birth->spawn;
	signals_reset_in_child();
	if (setpgid(0, 0) || prctl(PR_SET_PDEATHSIG, SIGKILL) || dup2(spawn->input, STDIN_FILENO) < 0 ||
	    dup2(spawn->output, STDOUT_FILENO) < 0 || dup2(spawn->errors, STDERR_FILENO) < 0)
		report(birth, errno);
	else
		report(birth, execute(birth));
	_exit(127);
}

/* ---- in the parent ---- */

/* Until the child has become the command, or has said why not. */
static int hear(int fd)
{
	int error = 0;
	ssize_t got;
	do
		got = read(fd, &error, sizeof(error));
	while (got < 0 && errno == EINTR);
	return got == (ssize_t)sizeof(error) ? error : 0;
}

int spawn_command(const struct spawn *spawn, struct command_paths *paths, pid_t *pid)
{
	static char stack[STACK_SIZE] __attribute__((aligned(64)));
	if (prepare(paths, spawn->argv[0]))
		return ENOMEM;
	int ends[2];
	if (pipe2(ends, O_CLOEXEC))
		return errno;
	struct birth birth = {.spawn = spawn, .paths = paths, .report = ends[1]};
	/* Nothing of ours may run in the child, whose memory is ours. */
	sigset_t all, before;
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid_t child = clone(become_command, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, &birth);
	int error = child < 0 ? errno : 0;
	(void)close(ends[1]);
	error = error ? error : hear(ends[0]);
	(void)close(ends[0]);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (child >= 0 && error)
		(void)waitpid(child, NULL, 0);
	*pid = child;
	return error;
}
