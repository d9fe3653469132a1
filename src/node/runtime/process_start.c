/* Owns a process worker's start: its traces on the machine, its launcher, its go. Called by the slots through the runtime's
 * table; what follows is process_worker.c's.
 *
 * The order: the record names the directory and the control group before they are made; then the launcher is
 * started, and waits; its process number goes into the record and into the control group; then it gets its go. So whenever
 * this program is killed, either nothing of the worker runs, or the record says what. A start that fails on the way is
 * undone at once as long as there is no process, and told by on_started from then on. */
#include "node/runtime/process_life.h"

#include "base/cleanup.h"
#include "base/random.h"
#include "node/runtime/launch_plan.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

static int name_traces(struct worker *worker, struct err *err)
{
	const struct process_host *host = worker->host;
	struct process_record *record = &worker->record;
	char name[32];
	unsigned char random[8];
	random_bytes(random, sizeof(random));
	int len = snprintf(name, sizeof(name), "idm-work-");
	for (size_t i = 0; i < sizeof(random); i++)
		len += snprintf(name + len, sizeof(name) - (size_t)len, "%02x", random[i]);

	(void)snprintf(worker->record_path, sizeof(worker->record_path), "%s/%s", host->records, name);
	(void)snprintf(record->directory, sizeof(record->directory), "%s/%s", host->temporary, name);
	if (host->cgroups.version == CGROUP_NONE)
		return 0;
	len = snprintf(record->cgroup, sizeof(record->cgroup), "%s/%s", host->cgroups.path, name);
	return len < (int)sizeof(record->cgroup)
		       ? 0
		       : err_set(err, ERR_TOO_BIG, "the control group's path below %s is too long", host->cgroups.path);
}

static int make_directory(const struct worker *worker, struct err *err)
{
	const struct process_user *user = &worker->host->user;
	const char *path = worker->record.directory;
	if (mkdir(path, 0700))
		return err_from_errno(err, errno, "cannot make the worker's directory %s", path);
	if (!user->change || chown(path, user->uid, user->gid) == 0)
		return 0;
	int rc = err_from_errno(err, errno, "cannot give the worker its directory %s", path);
	(void)rmdir(path);
	return rc;
}

static void unmake_traces(const struct worker *worker)
{
	if (worker->record.cgroup[0])
		(void)cgroup_remove(worker->record.cgroup);
	(void)rmdir(worker->record.directory);
	(void)unlink(worker->record_path);
}

/* The record first. What fails is undone. */
static int make_traces(struct worker *worker, int64_t memory_mb, struct err *err)
{
	const struct process_host *host = worker->host;
	struct process_record *record = &worker->record;
	int rc = name_traces(worker, err);
	if (!rc)
		rc = process_record_begin(worker->record_path, record, err);
	if (rc)
		return rc;
	rc = make_directory(worker, err);
	if (rc) {
		(void)unlink(worker->record_path);
		return rc;
	}
	if (record->cgroup[0])
		rc = cgroup_make(record->cgroup, host->cgroups.version, memory_mb, host->processes_max, err);
	if (rc)
		unmake_traces(worker);
	return rc;
}

static char **command_of(const struct worker_spec *spec)
{
	static char gridexec[] = "gridexec";
	const json_t *command = spec->command;
	size_t count = spec->exec ? 1 : json_array_size(command);
	char **argv = calloc(count + 1, sizeof(*argv));
	for (size_t i = 0; argv && i < count; i++)
		argv[i] = spec->exec ? gridexec : (char *)(uintptr_t)json_string_value(json_array_get(command, i));
	return argv;
}

static int write_plan(const struct worker *worker, const struct worker_spec *spec, struct err *err)
{
	const struct process_host *host = worker->host;
	AUTO_FREE char **argv = command_of(spec);
	char **env = launch_environment(spec->env, worker->record.directory);
	struct launch_plan plan = {
		.parent = getpid(),
		.cpus = spec->cpus,
		.directory = worker->record.directory,
		.change_user = host->user.change,
		.uid = host->user.uid,
		.gid = host->user.gid,
		.group_count = host->user.group_count,
		.no_new_privileges = host->no_new_privileges,
		/* The kernel counts the processes of a user, not of a worker: of one that has others too, nothing can be said. */
		.processes_max = host->user.change ? host->processes_max * (int64_t)host->workers_max : 0,
		.gridexec = spec->exec,
		.argv = argv,
		.env = env,
	};
	memcpy(plan.groups, host->user.groups, sizeof(plan.groups));
	int fd = argv && env ? launcher_plan_file(&plan, err) : err_set(err, ERR_NOMEM, "out of memory");
	launch_environment_free(env);
	return fd;
}

/* The loader finds our libraries where it found them at our own start; the worker gets an environment of its own. */
static int spawn(struct worker *worker, int plan_fd, int control_fd, int output_fd, struct err *err)
{
	static char program[] = LAUNCHER_PROGRAM;
	static char name[] = "gridnode";
	static char word[] = LAUNCHER_WORD;
	char *args[] = {name, word, NULL};
	char libraries[PROCESS_PATH_MAX];
	char *env[] = {NULL, NULL};
	const char *path = getenv("LD_LIBRARY_PATH");
	if (path && snprintf(libraries, sizeof(libraries), "LD_LIBRARY_PATH=%s", path) < (int)sizeof(libraries))
		env[0] = libraries;
	uv_stdio_container_t stdio[] = {
		{.flags = UV_IGNORE},
		{.flags = UV_INHERIT_FD, .data.fd = output_fd},
		{.flags = UV_INHERIT_FD, .data.fd = output_fd},
		[LAUNCHER_PLAN_FD] = {.flags = UV_INHERIT_FD, .data.fd = plan_fd},
		[LAUNCHER_CONTROL_FD] = {.flags = UV_INHERIT_FD, .data.fd = control_fd},
	};
	const uv_process_options_t options = {
		.exit_cb = process_on_exit,
		.file = program,
		.args = args,
		.env = env,
		.flags = UV_PROCESS_DETACHED, /* a session and a group of its own */
		.stdio_count = sizeof(stdio) / sizeof(stdio[0]),
		.stdio = stdio,
	};
	int rc = uv_spawn(worker->host->loop, &worker->process, &options);
	return rc ? err_set(err, ERR_IO, "cannot start a process: %s", uv_strerror(rc)) : 0;
}

/* From here on whoever comes after us can find it; then it may go. */
static int admit(struct worker *worker, int control_fd, struct err *err)
{
	struct process_record *record = &worker->record;
	struct process_stat stat;
	record->group = worker->process.pid;
	process_table_boot_id(record->boot);
	if (process_stat_read(record->group, &stat))
		return err_set(err, ERR_INTERNAL, "the launcher has ended at once");
	record->start = stat.start;
	int rc = process_record_add_group(worker->record_path, record, err);
	if (!rc && record->cgroup[0])
		rc = cgroup_enter(record->cgroup, record->group, err);
	if (!rc && write(control_fd, "g", 1) != 1)
		rc = err_from_errno(err, errno, "the launcher does not listen");
	return rc;
}

static void add_to_host(struct worker *worker)
{
	struct process_host *host = worker->host;
	worker->next = host->workers;
	if (host->workers)
		host->workers->prev = worker;
	host->workers = worker;
}

static void init_handles(struct worker *worker)
{
	uv_loop_t *loop = worker->host->loop;
	(void)uv_pipe_init(loop, &worker->control, 0);
	(void)uv_pipe_init(loop, &worker->output, 0);
	worker->process.data = worker->control.data = worker->output.data = worker;
	worker->open_handles = 3;
	add_to_host(worker);
}

/* Nobody has heard of it yet. */
static void take_back(struct worker *worker)
{
	worker->events = (struct worker_events){0};
	unmake_traces(worker);
	process_close_all(worker);
}

/* ours: the ends that the loop takes over. */
static int run(struct worker *worker, int plan_fd, const int control[2], const int output[2], struct err *err)
{
	init_handles(worker);
	int rc = spawn(worker, plan_fd, control[1], output[1], err);
	if (rc) {
		(void)close(control[0]);
		(void)close(output[0]);
		take_back(worker);
		return rc;
	}
	if (admit(worker, control[0], &worker->start_err))
		(void)kill(worker->process.pid, SIGKILL); /* on_started tells */
	process_begin_reading(worker, control[0], output[0]);
	return 0;
}

static int open_and_run(struct worker *worker, const struct worker_spec *spec, bool *taken, struct err *err)
{
	AUTO_CLOSE int plan_fd = write_plan(worker, spec, err);
	int control[2] = {-1, -1};
	int output[2] = {-1, -1};
	if (plan_fd < 0)
		return plan_fd;
	int rc = uv_socketpair(SOCK_STREAM, 0, control, UV_NONBLOCK_PIPE, 0);
	if (!rc)
		rc = uv_pipe(output, UV_NONBLOCK_PIPE, 0);
	if (rc) {
		(void)err_set(err, ERR_IO, "cannot start a process: %s", uv_strerror(rc));
		if (control[0] >= 0)
			(void)close(control[0]);
	} else {
		*taken = true;
		rc = run(worker, plan_fd, control, output, err);
	}
	if (control[1] >= 0)
		(void)close(control[1]);
	if (output[1] >= 0)
		(void)close(output[1]);
	return rc;
}

struct worker *process_worker_start(struct process_host *host, const struct worker_spec *spec,
				    const struct worker_events *events, struct err *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	if (!worker || (!spec->exec && !json_array_size(spec->command))) {
		(void)(worker ? err_set(err, ERR_INVALID, "there is no command to run") : err_set(err, ERR_NOMEM, "out of memory"));
		free(worker);
		return NULL;
	}
	worker->host = host;
	worker->events = *events;
	log_tail_init(&worker->tail, RUNTIME_LOG_TAIL_MAX, true);
	if (make_traces(worker, spec->memory_mb, err)) {
		free(worker);
		return NULL;
	}
	bool taken = false; /* by the loop, which frees it */
	if (open_and_run(worker, spec, &taken, err) == 0)
		return worker;
	if (!taken) {
		unmake_traces(worker);
		free(worker);
	}
	return NULL;
}
