/* Owns what a process does between its start by the agent and the worker's program. Called by main.c before anything else,
 * never by a person; never allocates from what a stranger wrote beyond the plan's cap, and never logs: what goes wrong is
 * told over the control descriptor. The agent calls launcher_plan_file alone.
 *
 * The order matters. It waits for the go, so that the agent can first write down whom it has started and put it into its
 * cgroup. What needs root comes before the change of user. The signal for the parent's death is set again after it, since
 * the kernel takes it away; and as the parent may have died in between, we look. */
#include "node/runtime/launcher.h"

#include "base/err.h"
#include "base/text.h"
#include "node/runtime/cpu_pin.h"
#include "node/runtime/exec_program.h"
#include "node/runtime/launch_plan.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

int launcher_plan_file(const struct launch_plan *plan, struct err *err)
{
	struct buf bytes;
	buf_init(&bytes, LAUNCH_PLAN_MAX);
	int rc = launch_plan_encode(plan, &bytes);
	if (rc) {
		buf_done(&bytes);
		return err_set(err, rc, "the command and its environment are larger than %d bytes", LAUNCH_PLAN_MAX);
	}
	int fd = memfd_create("idm-launch-plan", MFD_CLOEXEC);
	int error = fd < 0 || write(fd, bytes.data, bytes.len) != (ssize_t)bytes.len ? errno : 0;
	buf_done(&bytes);
	if (!error)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return err_from_errno(err, error, "cannot hand the command to the launcher");
}

enum { EXIT_NOT_LAUNCHED = 127 };

static _Noreturn void refuse(const struct err *err)
{
	struct launcher_refusal refusal = {.code = err->code};
	text_copy(refusal.text, sizeof(refusal.text), err->text);
	(void)!write(LAUNCHER_CONTROL_FD, &refusal, sizeof(refusal));
	_exit(EXIT_NOT_LAUNCHED);
}

static void must(int result, const char *what)
{
	if (result == 0)
		return;
	struct err err;
	(void)err_from_errno(&err, errno, "%s", what);
	refuse(&err);
}

static void read_plan(struct launch_plan *plan)
{
	struct stat st;
	struct err err = {0};
	must(fstat(LAUNCHER_PLAN_FD, &st), "the launcher got no plan");
	size_t len = st.st_size > 0 && st.st_size <= LAUNCH_PLAN_MAX ? (size_t)st.st_size : 0;
	char *bytes = malloc(len + 1);
	if (!bytes || pread(LAUNCHER_PLAN_FD, bytes, len, 0) != (ssize_t)len || launch_plan_decode(bytes, len, plan)) {
		(void)err_set(&err, ERR_INTERNAL, "the launcher cannot read its plan");
		refuse(&err);
	}
}

/* Nobody is left who could be told. */
static void die_with_parent(const struct launch_plan *plan)
{
	must(prctl(PR_SET_PDEATHSIG, SIGKILL), "cannot ask for a signal at the agent's end");
	if (getppid() != (pid_t)plan->parent)
		_exit(EXIT_NOT_LAUNCHED);
}

static void wait_for_go(void)
{
	char go;
	ssize_t len;
	do {
		len = read(LAUNCHER_CONTROL_FD, &go, 1);
	} while (len < 0 && errno == EINTR);
	if (len != 1)
		_exit(EXIT_NOT_LAUNCHED);
}

/* The agent opens everything close-on-exec; this holds also for what it itself was started with. */
static void close_the_agents_descriptors(void)
{
	(void)close(LAUNCHER_PLAN_FD);
	must(fcntl(LAUNCHER_CONTROL_FD, F_SETFD, FD_CLOEXEC), "cannot prepare the control descriptor");
	if (close_range(LAUNCHER_CONTROL_FD + 1, ~0U, 0) == 0)
		return;
	long count = sysconf(_SC_OPEN_MAX);
	for (int fd = LAUNCHER_CONTROL_FD + 1; fd < count; fd++)
		(void)close(fd);
}

static void pin(const struct launch_plan *plan)
{
	cpu_set_t set;
	struct err err = {0};
	if (cpu_list_parse(plan->cpus, &set)) {
		(void)err_set(&err, ERR_INVALID, "\"%s\" is not a list of CPUs", plan->cpus);
		refuse(&err);
	}
	must(sched_setaffinity(0, sizeof(set), &set), "cannot bind the worker to its CPUs");
}

static void set_limit(int resource, int64_t max, const char *what)
{
	struct rlimit limit;
	must(getrlimit(resource, &limit), what);
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > (rlim_t)max)
		limit.rlim_max = (rlim_t)max;
	limit.rlim_cur = limit.rlim_max;
	must(setrlimit(resource, &limit), what);
}

/* When the machine runs out of memory, a worker shall go before the agent. */
static void volunteer_for_the_oom_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	(void)!write(fd, "500", 3);
	(void)close(fd);
}

static void change_user(const struct launch_plan *plan)
{
	if (!plan->change_user)
		return;
	must(setgroups(plan->group_count, plan->groups), "cannot take process_user's groups");
	must(setresgid(plan->gid, plan->gid, plan->gid), "cannot take process_user's group");
	must(setresuid(plan->uid, plan->uid, plan->uid), "cannot become process_user");
}

#ifndef MFD_EXEC
#define MFD_EXEC 0x0010U
#endif

/* Newer kernels want to be told that it is to be executed; older ones do not know the word. */
static int open_nameless(void)
{
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd = memfd_create("gridexec", flags | MFD_EXEC);
	return fd < 0 && errno == EINVAL ? memfd_create("gridexec", flags) : fd;
}

/* From a file without a name, so that the worker's user needs to reach none, and that nobody can change. */
static _Noreturn void run_gridexec(char **argv)
{
	static const char WHAT[] = "cannot run gridexec (the sysctl vm.memfd_noexec must be below 2)";
	size_t len;
	const char *bytes = exec_program_bytes(&len);
	int fd = open_nameless();
	must(fd < 0, WHAT);
	while (len > 0) {
		ssize_t written = write(fd, bytes, len);
		must(written <= 0, WHAT);
		bytes += written;
		len -= (size_t)written;
	}
	must(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), WHAT);
	(void)fexecve(fd, argv, environ);
	must(-1, WHAT);
	_exit(EXIT_NOT_LAUNCHED);
}

_Noreturn void launcher_main(void)
{
	struct launch_plan plan;
	read_plan(&plan);
	die_with_parent(&plan);
	wait_for_go();
	close_the_agents_descriptors();

	pin(&plan);
	set_limit(RLIMIT_CORE, 0, "cannot forbid core dumps");
	if (plan.processes_max > 0)
		set_limit(RLIMIT_NPROC, plan.processes_max, "cannot limit the number of processes");
	volunteer_for_the_oom_killer();
	change_user(&plan);
	if (plan.no_new_privileges)
		must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "cannot forbid new privileges");
	must(chdir(plan.directory), "cannot enter the worker's directory");
	(void)umask(022);
	die_with_parent(&plan);

	environ = plan.env; /* its PATH counts too */
	if (plan.gridexec)
		run_gridexec(plan.argv);
	(void)execvp(plan.argv[0], plan.argv);
	struct err err;
	(void)err_from_errno(&err, errno, "cannot run \"%s\"", plan.argv[0]);
	refuse(&err);
}
