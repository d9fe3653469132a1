/* Owns the search for programs. Called by `gridctl up`; the only program that it runs is `gridnode --find-engine`, which ends at
 * once. */
#include "ctl/local_programs.h"

#include "base/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static bool is_program(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

static bool join(char path[LOCAL_PATH_MAX], const char *directory, size_t directory_len, const char *name)
{
	int len = snprintf(path, LOCAL_PATH_MAX, "%.*s/%s", (int)directory_len, directory, name);
	return len > 0 && len < LOCAL_PATH_MAX && is_program(path);
}

static bool find_beside(char path[LOCAL_PATH_MAX], const char *name)
{
	char self[LOCAL_PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
	if (len <= 0)
		return false;
	self[len] = '\0';
	const char *slash = strrchr(self, '/');
	return slash && join(path, self, (size_t)(slash - self), name);
}

static bool find_in_path(char path[LOCAL_PATH_MAX], const char *name)
{
	const char *directories = getenv("PATH");
	if (!directories || !*directories)
		directories = "/usr/local/bin:/usr/bin:/bin";
	while (*directories) {
		size_t len = strcspn(directories, ":");
		if (directories[0] == '/' && join(path, directories, len, name)) /* none of the present directory */
			return true;
		directories += len + (directories[len] == ':');
	}
	return false;
}

static int find_ours(char path[LOCAL_PATH_MAX], const char *name, struct err *err)
{
	if (find_beside(path, name) || find_in_path(path, name))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "%s is neither beside gridctl nor in PATH: install it too (meson install)", name);
}

int local_programs_find(struct local_programs *programs, struct err *err)
{
	int rc = find_ours(programs->hub, "computehub", err);
	if (!rc)
		rc = find_ours(programs->node, "gridnode", err);
	if (rc)
		return rc;
	if (find_in_path(programs->redis, "redis-server") || find_in_path(programs->redis, "valkey-server"))
		return 0;
	return err_set(err, ERR_NOT_FOUND, "redis-server is not installed: apt install redis-server (or the package valkey-server)");
}

/* ---- asking ---- */

/* Standard output and standard error of the program, up to size - 1 bytes; its exit status, -1 where it cannot be had. */
static int run(const char *path, const char *argument, char *text, size_t size)
{
	int pipes[2];
	size_t len = 0;
	ssize_t more;
	int status = -1;
	if (pipe2(pipes, O_CLOEXEC))
		return -1;
	int pid = fork();
	if (pid == 0) {
		if (dup2(pipes[1], STDOUT_FILENO) >= 0 && dup2(pipes[1], STDERR_FILENO) >= 0)
			(void)execl(path, path, argument, (char *)NULL);
		_exit(127);
	}
	(void)close(pipes[1]);
	while (pid > 0 && len < size - 1 && ((more = read(pipes[0], text + len, size - 1 - len)) > 0 || (more < 0 && errno == EINTR)))
		len += more > 0 ? (size_t)more : 0;
	text[len] = '\0';
	(void)close(pipes[0]);
	if (pid < 0 || waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

int local_programs_engine(const struct local_programs *programs, char url[LOCAL_PATH_MAX], struct err *err)
{
	static const char PREFIX[] = "gridnode: ";
	char text[LOCAL_PATH_MAX];
	int status = run(programs->node, "--find-engine", text, sizeof(text));
	text[strcspn(text, "\n")] = '\0';
	if (status == 0) {
		memcpy(url, text, sizeof(text));
		return 0;
	}
	const char *reason = strncmp(text, PREFIX, strlen(PREFIX)) == 0 ? text + strlen(PREFIX) : text;
	return err_set(err, ERR_NOT_FOUND, "%s", *reason ? reason : "gridnode --find-engine failed");
}
