/* The Engine's own time: the calls that gridnode makes for its containers, with the same bodies, issued at once by as many
 * threads as there are containers, and nothing else. bench/run starts it beside gridnode.
 *
 * It creates COUNT containers, begins to wait for each one's end, and starts it; says so; waits for a line on standard
 * input; then sends each SIGTERM, hears of its end, and removes it. Each half is preceded by a line with the moment when
 * it began, in nanoseconds since 1970; how long it took, the engine's events tell. */
#include "engine_line.h"

#include "base/cleanup.h"
#include "node/runtime/container_spec.h"
#include "node/worker_description.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { COUNT_MAX = 256, ID_SIZE = 80, PATH_SIZE = 512, MEMORY_MB = 1024, PIDS_MAX = 1024 };

struct container {
	const char *socket_path;
	char *body;
	char name[256];
	char id[ID_SIZE];
	struct engine_line calls;
	struct engine_line wait;
	struct err err;
};

static const char *const CAPABILITIES[] = {"CHOWN", "DAC_OVERRIDE", "FOWNER", "SETUID", "SETGID", "KILL", NULL};

/* As gridnode's own configuration says by default. */
static const struct runtime_options OPTIONS = {
	.network = "bridge", .pids_max = PIDS_MAX, .capabilities = CAPABILITIES, .no_new_privileges = true};

static pthread_barrier_t all_ready;

static void say_when(void)
{
	struct timespec now;
	(void)clock_gettime(CLOCK_REALTIME, &now);
	(void)printf("%lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
	(void)fflush(stdout);
}

/* ---- the calls of one container ---- */

static int call(struct container *container, const char *method, const char *suffix)
{
	char path[PATH_SIZE];
	(void)snprintf(path, sizeof(path), "/containers/%s%s", container->id, suffix);
	int rc = engine_line_ask(&container->calls, method, path, NULL, &container->err);
	return rc || engine_line_rest(&container->calls, &container->err) ? rc : ERR_IO;
}

static int create(struct container *container)
{
	char path[PATH_SIZE];
	(void)snprintf(path, sizeof(path), "/containers/create?name=%s", container->name);
	int rc = engine_line_ask(&container->calls, "POST", path, container->body, &container->err);
	const char *body = rc ? NULL : engine_line_rest(&container->calls, &container->err);
	if (!body)
		return rc ? rc : ERR_IO;
	AUTO_JSON json_t *answer = json_loads(body, 0, NULL);
	const char *id = json_string_value(json_object_get(answer, "Id"));
	if (!id || strlen(id) >= ID_SIZE)
		return err_set(&container->err, ERR_PROTOCOL, "the engine told no id");
	(void)snprintf(container->id, sizeof(container->id), "%s", id);
	return 0;
}

static int begin_wait(struct container *container)
{
	char path[PATH_SIZE];
	(void)snprintf(path, sizeof(path), "/containers/%s/wait?condition=next-exit", container->id);
	return engine_line_ask(&container->wait, "POST", path, NULL, &container->err);
}

static int end_wait(struct container *container)
{
	return engine_line_rest(&container->wait, &container->err) ? 0 : ERR_IO;
}

static void *start_one(void *context)
{
	struct container *container = context;
	(void)pthread_barrier_wait(&all_ready);
	int rc = create(container);
	rc = rc ? rc : begin_wait(container);
	rc = rc ? rc : call(container, "POST", "/start");
	return rc ? container : NULL;
}

static void *stop_one(void *context)
{
	struct container *container = context;
	(void)pthread_barrier_wait(&all_ready);
	int rc = call(container, "POST", "/kill?signal=SIGTERM");
	rc = rc ? rc : end_wait(container);
	rc = rc ? rc : call(container, "DELETE", "?force=1&v=1");
	if (!rc)
		container->id[0] = '\0';
	return rc ? container : NULL;
}

/* ---- all of them at once ---- */

static int at_once(struct container *containers, unsigned count, void *(*what)(void *))
{
	pthread_t threads[COUNT_MAX];
	int failed = 0;
	if (pthread_barrier_init(&all_ready, NULL, count + 1))
		return ERR_NOMEM;
	for (unsigned i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, what, &containers[i])) {
			(void)fprintf(stderr, "engine_calls: no thread\n");
			exit(1); /* those before it wait for ever */
		}
	}
	say_when();
	(void)pthread_barrier_wait(&all_ready);
	for (unsigned i = 0; i < count; i++) {
		void *trouble;
		(void)pthread_join(threads[i], &trouble);
		if (trouble)
			(void)fprintf(stderr, "engine_calls: %s\n", containers[i].err.text);
		failed |= trouble != NULL;
	}
	(void)pthread_barrier_destroy(&all_ready);
	return failed ? ERR_IO : 0;
}

/* What a failure left. */
static void remove_left(struct container *containers, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		if (containers[i].id[0])
			(void)call(&containers[i], "DELETE", "?force=1&v=1");
	}
}

/* ---- before and after ---- */

static int describe(struct container *container, const struct task_config *task, const char *node_id, unsigned instance,
		    const struct cpus *cpus, struct err *err)
{
	const struct worker_home home = {.node_id = node_id, .instance = instance, .cpus = cpus, .memory_mb = MEMORY_MB};
	struct worker_description *description = worker_description_new(task, &home, err);
	if (!description)
		return ERR_INVALID;
	const struct worker_spec *spec = worker_description_spec(description);
	AUTO_JSON json_t *body = container_spec_body(spec, task->image, &OPTIONS, err);
	(void)snprintf(container->name, sizeof(container->name), "%s", spec->name);
	container->body = body ? json_dumps(body, JSON_COMPACT) : NULL;
	worker_description_free(description);
	return container->body ? 0 : ERR_NOMEM;
}

static int prepare(struct container *containers, unsigned count, const char *socket_path, const char *image,
		   struct err *err)
{
	static struct cpus cpus;
	struct task_config task = {0};
	json_t *object = json_pack("{s:s, s:s}", "task_name", "bench", "image", image);
	int rc = object ? task_config_parse(object, &task, err) : ERR_NOMEM;
	json_decref(object);
	if (!rc)
		rc = cpus_of_this_process(&cpus, err);
	for (unsigned i = 0; i < count && !rc; i++) {
		rc = describe(&containers[i], &task, "engine-calls", i, &cpus, err);
		if (!rc)
			rc = engine_line_open(&containers[i].calls, socket_path, err);
		if (!rc)
			rc = engine_line_open(&containers[i].wait, socket_path, err);
	}
	task_config_done(&task);
	return rc;
}

static int run(struct container *containers, unsigned count)
{
	int rc = at_once(containers, count, start_one);
	if (!rc) {
		(void)puts("started");
		(void)fflush(stdout);
		(void)getchar();
		rc = at_once(containers, count, stop_one);
	}
	remove_left(containers, count);
	return rc;
}

int main(int argc, char **argv)
{
	struct err err = {0};
	unsigned count = argc == 4 ? (unsigned)strtoul(argv[3], NULL, 10) : 0;
	if (count < 1 || count > COUNT_MAX) {
		(void)fprintf(stderr, "usage: engine_calls SOCKET IMAGE COUNT\n");
		return 2;
	}
	struct container *containers = calloc(count, sizeof(*containers));
	for (unsigned i = 0; containers && i < count; i++)
		containers[i].calls.fd = containers[i].wait.fd = -1;
	int rc = containers ? prepare(containers, count, argv[1], argv[2], &err) : ERR_NOMEM;
	if (rc)
		(void)fprintf(stderr, "engine_calls: %s\n", err.text);
	else
		rc = run(containers, count);
	for (unsigned i = 0; containers && i < count; i++) {
		engine_line_close(&containers[i].calls);
		engine_line_close(&containers[i].wait);
		free(containers[i].body);
	}
	free(containers);
	return rc ? 1 : 0;
}
