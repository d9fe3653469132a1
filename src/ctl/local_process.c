/* Owns the starting, finding and ending of a local system's programs. Called by `gridctl up` and `down`; never knows what they do.
 *
 * A start:  fork -> child waits -> its number and start time are recorded -> go -> setsid, files, exec -> error or none
 *
 * Should gridctl die before the go, the child ends; after it, the record is there. */
#include "ctl/local_process.h"

#include "base/buf.h"
#include "base/cleanup.h"
#include "base/file.h"
#include "base/process_table.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RECORD_MAX = 256, EXEC_FAILED = 127, LOOK_MS = 20 };

/* ---- records ---- */

struct record {
	int pid;
	uint64_t start;
	char boot[BOOT_ID_SIZE];
};

static int write_record(const struct local_system *system, const char *name, int pid, struct err *err)
{
	char path[LOCAL_PATH_MAX];
	char text[RECORD_MAX];
	char boot[BOOT_ID_SIZE];
	struct process_stat stat;
	process_table_boot_id(boot);
	if (process_stat_read(pid, &stat))
		return err_set(err, ERR_INTERNAL, "cannot read /proc/%d/stat", pid);
	int rc = local_system_path(system, path, err, "run/%s", name);
	int len = snprintf(text, sizeof(text), "%d %" PRIu64 " %s\n", pid, stat.start, *boot ? boot : "-");
	return rc ? rc : file_replace(path, text, (size_t)len, 0600, err);
}

static bool read_record(const struct local_system *system, const char *name, struct record *record)
{
	char path[LOCAL_PATH_MAX];
	if (local_system_path(system, path, NULL, "run/%s", name))
		return false;
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	return file && fscanf(file, "%d %" SCNu64 " %39s", &record->pid, &record->start, record->boot) == 3 && record->pid > 1;
}

static void forget(const struct local_system *system, const char *name)
{
	char path[LOCAL_PATH_MAX];
	if (local_system_path(system, path, NULL, "run/%s", name) == 0)
		(void)unlink(path);
}

static bool is_alive(const struct record *record)
{
	struct process_stat stat;
	char boot[BOOT_ID_SIZE];
	process_table_boot_id(boot);
	return strcmp(record->boot, *boot ? boot : "-") == 0 && process_stat_read(record->pid, &stat) == 0 &&
	       stat.start == record->start && stat.state != 'Z' && stat.state != 'X';
}

bool local_process_is_recorded(const struct local_system *system, const char *name)
{
	struct record record;
	return read_record(system, name, &record);
}

int local_process_pid(const struct local_system *system, const char *name)
{
	struct record record;
	return read_record(system, name, &record) && is_alive(&record) ? record.pid : 0;
}

/* ---- the child's side: between fork and exec ---- */

/* Settings of gridctl, and what a supervisor said to it alone. */
static bool is_private(const char *variable)
{
	static const char *const NAMES[] = {"STATE_DIRECTORY=", "CONFIGURATION_DIRECTORY=", "NOTIFY_SOCKET=", "JOURNAL_STREAM=",
					    "WATCHDOG_USEC=", "WATCHDOG_PID=", "LISTEN_FDS=", "LISTEN_PID="};
	for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
		if (strncmp(variable, NAMES[i], strlen(NAMES[i])) == 0)
			return true;
	}
	return strncmp(variable, "IDM_GRIDCORE_", strlen("IDM_GRIDCORE_")) == 0;
}

static char **own_environment(void)
{
	size_t count = 0;
	size_t kept = 0;
	while (environ[count])
		count++;
	char **variables = calloc(count + 1, sizeof(*variables));
	for (size_t i = 0; variables && i < count; i++) {
		if (!is_private(environ[i]))
			variables[kept++] = environ[i];
	}
	return variables;
}

static void reset_signals(void)
{
	sigset_t none;
	(void)sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		(void)signal(number, SIG_DFL);
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
}

/* `log` -1: standard error stays. Returns errno. */
static int become(const struct local_start *start, int log, char **variables)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || (log >= 0 && dup2(log, STDERR_FILENO) < 0) ||
	    dup2(STDERR_FILENO, STDOUT_FILENO) < 0 || chdir("/") || setsid() < 0)
		return errno;
	/* Whoever called gridctl may have left descriptors open: a lock of his, a pipe whose end somebody waits for. */
	if (syscall(SYS_close_range, 3U, ~0U, 4U /* CLOSE_RANGE_CLOEXEC */)) {
		for (int fd = 3; fd < 1024; fd++)
			(void)fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
	if (start->cpus && sched_setaffinity(0, sizeof(*start->cpus), start->cpus))
		return errno;
	reset_signals();
	(void)execve(start->argv[0], (char *const *)(uintptr_t)start->argv, variables);
	return errno;
}

static _Noreturn void child(const struct local_start *start, int log, char **variables, int go, int report)
{
	char byte;
	if (read(go, &byte, 1) != 1)
		_exit(EXEC_FAILED); /* gridctl died, or gave up */
	int error = become(start, log, variables);
	(void)!write(report, &error, sizeof(error));
	_exit(EXEC_FAILED);
}

/* ---- the parent's ---- */

/* The log of the run before stays beside it. */
static int open_log(const struct local_system *system, const char *name, struct err *err)
{
	char path[LOCAL_PATH_MAX];
	char before[LOCAL_PATH_MAX];
	if (local_system_path(system, path, err, "logs/%s.log", name) ||
	    local_system_path(system, before, err, "logs/%s.log.1", name))
		return -1;
	(void)rename(path, before);
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		(void)err_from_errno(err, errno, "cannot write %s", path);
	return fd;
}

/* 0, or the errno that the child reports. */
static int wait_for_exec(int report)
{
	int error = 0;
	ssize_t len;
	do {
		len = read(report, &error, sizeof(error));
	} while (len < 0 && errno == EINTR);
	return len == (ssize_t)sizeof(error) ? error : 0;
}

static int let_go(const struct local_system *system, const struct local_start *start, int pid, int go, int report, struct err *err)
{
	int rc = write_record(system, start->name, pid, err);
	if (rc)
		return rc;
	if (write(go, "g", 1) != 1)
		return err_from_errno(err, errno, "cannot start %s", start->argv[0]);
	int error = wait_for_exec(report);
	return error ? err_from_errno(err, error, "cannot run %s", start->argv[0]) : 0;
}

int local_process_start(const struct local_system *system, const struct local_start *start, struct err *err)
{
	AUTO_CLOSE int log = start->attached ? -1 : open_log(system, start->name, err);
	AUTO_FREE char **variables = own_environment();
	int go[2];
	int report[2];
	if (!start->attached && log < 0)
		return err->code;
	if (!variables)
		return err_set(err, ERR_NOMEM, "out of memory");
	if (pipe2(go, O_CLOEXEC))
		return err_from_errno(err, errno, "cannot start %s", start->argv[0]);
	if (pipe2(report, O_CLOEXEC)) {
		(void)close(go[0]);
		(void)close(go[1]);
		return err_from_errno(err, errno, "cannot start %s", start->argv[0]);
	}
	int pid = fork();
	if (pid == 0) {
		(void)close(go[1]);
		(void)close(report[0]);
		child(start, log, variables, go[0], report[1]);
	}
	int rc = pid < 0 ? err_from_errno(err, errno, "cannot start %s", start->argv[0]) : 0;
	(void)close(go[0]);
	(void)close(report[1]);
	if (!rc)
		rc = let_go(system, start, pid, go[1], report[0], err);
	(void)close(go[1]); /* without its go the child ends */
	(void)close(report[0]);
	if (rc && pid > 0) {
		(void)waitpid(pid, NULL, 0);
		forget(system, start->name);
	}
	return rc;
}

/* ---- the end ---- */

/* A descriptor for the very process of the record; -1 where it is gone, or the system has none of these. */
static int hold(const struct record *record)
{
	int fd = (int)syscall(SYS_pidfd_open, record->pid, 0U);
	if (fd >= 0 && !is_alive(record)) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

bool local_process_signal(const struct local_system *system, const char *name, int number)
{
	struct record record;
	if (!read_record(system, name, &record) || !is_alive(&record))
		return false;
	AUTO_CLOSE int fd = hold(&record);
	if (fd >= 0)
		return syscall(SYS_pidfd_send_signal, fd, number, NULL, 0U) == 0;
	return errno == ENOSYS && kill(record.pid, number) == 0;
}

static int64_t now_ms(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void wait_once(const struct record *record, int timeout_ms)
{
	AUTO_CLOSE int fd = hold(record);
	struct pollfd gone = {.fd = fd, .events = POLLIN};
	(void)poll(&gone, fd >= 0, fd >= 0 || timeout_ms < LOOK_MS ? timeout_ms : LOOK_MS);
}

bool local_process_wait(const struct local_system *system, const char *name, int timeout_ms)
{
	struct record record;
	int64_t deadline = now_ms() + timeout_ms;
	if (!read_record(system, name, &record))
		return true;
	while (is_alive(&record)) {
		int64_t left = deadline - now_ms();
		if (left <= 0)
			return false;
		wait_once(&record, (int)left);
	}
	(void)waitpid(record.pid, NULL, WNOHANG); /* where it is a child of this very gridctl */
	forget(system, name);
	return true;
}

void local_process_log_tail(const struct local_system *system, const char *name, char *text, size_t size)
{
	char path[LOCAL_PATH_MAX];
	text[0] = '\0';
	if (local_system_path(system, path, NULL, "logs/%s.log", name))
		return;
	AUTO_FCLOSE FILE *file = fopen(path, "re");
	if (!file)
		return;
	bool cut = fseek(file, -(long)(size - 1), SEEK_END) == 0;
	if (!cut)
		rewind(file);
	size_t len = fread(text, 1, size - 1, file);
	text[len] = '\0';
	const char *first = cut ? strchr(text, '\n') : NULL;
	if (first)
		memmove(text, first + 1, strlen(first + 1) + 1);
}
