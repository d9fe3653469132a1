/* Owns what its workers share, and the clearing up after earlier runs before the first of them. Called by the agent through
 * the operations table; never starts anything itself.
 *
 *   CLEARING --what earlier runs left is gone--> READY --close--> CLOSED: frees itself with the last worker
 *
 * There is no engine that could be lost: once ready it stays so. */
#include "node/runtime/process_runtime.h"

#include "base/cleanup.h"
#include "base/file.h"
#include "base/log.h"
#include "node/runtime/process_orphans.h"
#include "node/runtime/process_worker.h"
#include "proto/node_messages.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

struct runtime {
	struct process_host host;
	struct runtime_events events;
	struct process_orphans *orphans; /* while CLEARING */
	char what[ERR_TEXT_MAX];         /* told when it is ready */
	uv_timer_t turn;                 /* keeps us until the loop has let go */
	bool closed;
	bool turn_over;
};

static void on_orphans_cleared(void *context, unsigned found)
{
	struct runtime *runtime = context;
	runtime->orphans = NULL;
	if (found)
		log_info("runtime", "cleared up after %u worker%s that an earlier run had left", found, found == 1 ? "" : "s");
	runtime->events.on_ready(runtime->events.context, runtime->what);
}

/* ---- opening ---- */

/* Ours alone: what stands in the records is killed and removed. */
static int make_private(const char *path, struct err *err)
{
	struct stat st;
	AUTO_CLOSE int fd = -1;
	if (mkdir(path, 0700) && errno != EEXIST)
		return err_from_errno(err, errno, "cannot make the directory %s", path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st))
		return err_from_errno(err, errno, "cannot use the directory %s", path);
	if (st.st_uid != geteuid())
		return err_set(err, ERR_DENIED, "the directory %s belongs to somebody else; remove it, or set state_dir", path);
	return fchmod(fd, 0700) ? err_from_errno(err, errno, "cannot use the directory %s", path) : 0;
}

static int make_records(struct process_host *host, const struct runtime_options *options, struct err *err)
{
	if (!options->state_directory)
		return err_set(err, ERR_INVALID, "no place for the records of workers: set state_dir in the configuration");
	int rc = file_make_directories(options->state_directory, 0700, err);
	if (rc)
		return err_wrap(err, "state_dir");
	int len = snprintf(host->records, sizeof(host->records), "%s/workers-%s", options->state_directory, options->owner_id);
	if (len < 0 || (size_t)len >= sizeof(host->records))
		return err_set(err, ERR_INVALID, "the path of state_dir is too long");
	return make_private(host->records, err);
}

static int find_temporary(struct process_host *host, struct err *err)
{
	const char *given = getenv("TMPDIR");
	int len = snprintf(host->temporary, sizeof(host->temporary), "%s", given && given[0] == '/' ? given : "/tmp");
	return len < (int)sizeof(host->temporary) ? 0 : err_set(err, ERR_INVALID, "$TMPDIR is too long");
}

static void find_cgroups(struct runtime *runtime, const char *owner_id)
{
	static const char *const LIMITS[] = {
		[CGROUP_NONE] = "without a limit of memory",
		[CGROUP_V1] = "memory limited by control groups (version 1)",
		[CGROUP_V2] = "memory limited by control groups (version 2)",
	};
	struct err err = {0};
	struct process_host *host = &runtime->host;
	if (cgroup_home_open(&host->cgroups, owner_id, &err))
		log_warn("runtime",
			 "workers have no limit of memory: %s. Run gridnode as root, or as a service with Delegate=yes "
			 "(systemd-run --user --scope -p Delegate=yes gridnode)", err.text);
	char who[64] = "our own user";
	if (host->user.change)
		(void)snprintf(who, sizeof(who), "user id %u", (unsigned)host->user.uid);
	(void)snprintf(runtime->what, sizeof(runtime->what), "this machine as plain processes of %s, %s", who, LIMITS[host->cgroups.version]);
}

static void maybe_free(struct runtime *runtime)
{
	if (!runtime->closed || !runtime->turn_over || runtime->host.workers)
		return;
	cgroup_home_close(&runtime->host.cgroups);
	free(runtime);
}

static void on_worker_gone(struct process_host *host)
{
	maybe_free((struct runtime *)host); /* its first member */
}

static struct runtime *process_open(uv_loop_t *loop, const struct runtime_options *options,
				    const struct runtime_events *events, struct err *err)
{
	struct runtime *runtime = calloc(1, sizeof(*runtime));
	if (!runtime) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	struct process_host *host = &runtime->host;
	*host = (struct process_host){
		.loop = loop,
		.no_new_privileges = options->no_new_privileges,
		.processes_max = options->pids_max,
		.workers_max = options->workers_max,
		.on_gone = on_worker_gone,
	};
	int rc = process_user_choose(options->user ? options->user : "", options->same_user, geteuid(), &host->user, err);
	if (!rc)
		rc = make_records(host, options, err);
	if (!rc)
		rc = find_temporary(host, err);
	if (!rc) {
		runtime->orphans = process_orphans_clear(loop, host->records, on_orphans_cleared, runtime);
		if (!runtime->orphans)
			rc = err_set(err, ERR_NOMEM, "out of memory");
	}
	if (rc) {
		free(runtime);
		return NULL;
	}
	runtime->events = *events;
	find_cgroups(runtime, options->owner_id);
	(void)uv_timer_init(loop, &runtime->turn);
	runtime->turn.data = runtime;
	return runtime;
}

/* ---- closing ---- */

static void on_turn_closed(uv_handle_t *handle)
{
	struct runtime *runtime = handle->data;
	runtime->turn_over = true;
	maybe_free(runtime);
}

static void process_close(struct runtime *runtime)
{
	if (!runtime || runtime->closed)
		return;
	runtime->closed = true;
	process_orphans_abandon(steal(runtime->orphans));
	process_worker_drop_all(&runtime->host);
	uv_close((uv_handle_t *)&runtime->turn, on_turn_closed);
}

static struct worker *process_start(struct runtime *runtime, const struct worker_spec *spec,
				    const struct worker_events *events, struct err *err)
{
	return process_worker_start(&runtime->host, spec, events, err);
}

const struct runtime_ops process_runtime = {
	.name = RUNTIME_PROCESS,
	.noun = "process",
	.open = process_open,
	.close = process_close,
	.start = process_start,
	.signal = process_worker_signal,
	.remove = process_worker_remove,
};
