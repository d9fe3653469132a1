/* Owns the end of whatever a command left behind: daemons that have gone to a session of their own, grandchildren. Called
 * by child.c after each command; almost always one system call, which says that there are no children. */
#include "exec/descendants.h"

#include "base/clock.h"
#include "exec/signals.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PATIENCE_MS = 5000, LOOK_AGAIN_MS = 20 };

void descendants_init(void)
{
	(void)prctl(PR_SET_CHILD_SUBREAPER, 1);
}

/* 0 if it has gone. See proc(5): the name, in parentheses, may hold anything. */
static pid_t parent_of(const char *pid)
{
	char path[64], text[512];
	(void)snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	ssize_t len = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	text[len > 0 ? len : 0] = '\0';
	const char *behind_name = strrchr(text, ')');
	int parent = 0;
	return behind_name && sscanf(behind_name, ") %*c %d", &parent) == 1 ? parent : 0;
}

static void kill_children(void)
{
	DIR *processes = opendir("/proc");
	if (!processes)
		return;
	const struct dirent *entry;
	while ((entry = readdir(processes))) {
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == getpid())
			(void)kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
	}
	(void)closedir(processes);
}

void descendants_end(void)
{
	int64_t deadline_ms = 0;
	for (;;) {
		(void)signals_child_ended(); /* before the look: an end after it cuts the wait short */
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		if (pid < 0)
			return;
		if (pid > 0)
			continue;
		int64_t now_ms = clock_monotonic_ms();
		if (!deadline_ms)
			deadline_ms = now_ms + PATIENCE_MS;
		if (now_ms > deadline_ms)
			return;
		kill_children();
		(void)signals_poll(NULL, 0, now_ms + LOOK_AGAIN_MS);
	}
}
