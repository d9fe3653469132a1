/* Soaks the slots: thousands of container lives against the scripted runtime, without an engine and without a pause; memory and
 * descriptors must stay what they were after the warm-up. Called by soak.py and by hand: slot_cycles COUNT.
 *
 * Each cycle takes the two slots through every way that a container can go: it starts, fails, is removed, waits for its next
 * start and gets it at once, fails to start, loses its engine; then the task changes and the next one's image is fetched. */
#include "base/log.h"
#include "node/slots.h"
#include "unit/node/scripted_runtime.h"

#include <dirent.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	SLOTS = 2,
	LIVES_PER_CYCLE = 2 * SLOTS, /* containers */
	/* Exactly nothing may be kept; but a container's message or error text may be longer by chance, in a buffer that stays. */
	HEAP_GROWTH_MAX = 1024,
};

struct soak {
	uv_loop_t loop;
	struct runtime runtime;
	struct slots *slots;
	int emptied;
};

static void on_change(void *context)
{
	(void)context;
}

static void on_empty(void *context)
{
	struct soak *soak = context;
	soak->emptied++;
}

static void require(bool good, const char *what)
{
	if (good)
		return;
	(void)printf("slot_cycles: %s\n", what);
	exit(1);
}

static void set_task(struct soak *soak, unsigned number)
{
	char text[512];
	struct task_config task;
	struct err err = {0};
	(void)snprintf(text, sizeof(text),
		       "{\"task_name\":\"t%08u\",\"image\":\"i%08u:1\",\"command\":[\"a\",\"b\"],\"env\":{\"X\":\"y\"}}", number,
		       number);
	json_t *object = json_loads(text, 0, NULL);
	require(object && task_config_parse(object, &task, &err) == 0, "the task is refused");
	json_decref(object);
	slots_set_task(soak->slots, &task);
	task_config_done(&task);
}

/* What the script has of this page. */
static void all(struct soak *soak, void (*move)(struct worker *worker))
{
	for (size_t i = 0; i < soak->runtime.worker_count; i++) {
		if (!soak->runtime.workers[i].gone)
			move(&soak->runtime.workers[i]);
	}
}

static void fail(struct worker *worker)
{
	script_exited(worker, 3);
	script_removed(worker);
}

static void end(struct worker *worker)
{
	script_exited(worker, 143);
	script_removed(worker);
}

static void fail_to_start(struct worker *worker)
{
	script_start_failed(worker, ERR_IO, "no space left on device");
	script_removed(worker);
}

/* The script keeps what it was asked; a new page for each part of a cycle. */
static void turn_page(struct soak *soak)
{
	(void)uv_run(&soak->loop, UV_RUN_NOWAIT);
	soak->runtime.worker_count = 0;
	soak->runtime.image_count = 0;
}

static void lose_and_find_engine(struct soak *soak)
{
	slots_use_runtime(soak->slots, NULL, "n");
	turn_page(soak);
	slots_use_runtime(soak->slots, &soak->runtime, "n"); /* which ends the waiting of slots */
}

static void cycle(struct soak *soak, unsigned number)
{
	struct slots_status status;
	set_task(soak, number);
	require(soak->runtime.image_count == 1, "no image was asked for");
	script_image_ready(&soak->runtime.images[0]);
	require(soak->runtime.worker_count == SLOTS, "not every slot began");
	if (number % 2 == 0) {
		all(soak, script_started);
		all(soak, fail);
	} else {
		all(soak, fail_to_start);
	}
	slots_status(soak->slots, &status);
	require(status.failing, "a failure was not told");
	lose_and_find_engine(soak);
	require(soak->runtime.worker_count == SLOTS, "not every slot began again");
	all(soak, script_started);
	slots_set_task(soak->slots, NULL);
	all(soak, end);
	require(slots_are_empty(soak->slots), "a slot is not empty");
	turn_page(soak);
}

static unsigned count_descriptors(void)
{
	unsigned count = 0;
	DIR *directory = opendir("/proc/self/fd");
	while (directory && readdir(directory))
		count++;
	(void)closedir(directory);
	return count;
}

int main(int argc, char **argv)
{
	static const struct cpus TWO = {.ids = {0, 1}, .count = 2};
	static char any[] = "*";
	static char *patterns[] = {any};
	static const struct config_strings allow = {.items = patterns, .count = 1};
	static struct soak soak;
	long lives = argc == 2 ? atol(argv[1]) : 0;
	require(lives >= 10 * LIVES_PER_CYCLE, "usage: slot_cycles COUNT, of containers, at least 40");
	log_set_level(LOG_LEVEL_ERROR);
	(void)freopen("/dev/null", "w", stderr); /* each failure is an error in the log, and meant */
	const struct slots_options options = {
		.ops = &scripted_runtime, .count = SLOTS, .cpus = &TWO, .platform = "linux/amd64", .stop_timeout_ms = 1000,
		.memory_mb = 64, .allow_images = &allow, .context = &soak, .on_change = on_change, .on_empty = on_empty,
	};
	require(uv_loop_init(&soak.loop) == 0, "no loop");
	soak.slots = slots_new(&soak.loop, &options);
	slots_use_runtime(soak.slots, &soak.runtime, "n");

	unsigned cycles = (unsigned)(lives / LIVES_PER_CYCLE);
	unsigned warm_up = cycles / 10;
	size_t heap = 0;
	unsigned descriptors = 0;
	for (unsigned number = 0; number < cycles; number++) {
		if (number == warm_up) {
			heap = mallinfo2().uordblks;
			descriptors = count_descriptors();
		}
		cycle(&soak, number);
	}
	size_t heap_after = mallinfo2().uordblks;
	unsigned descriptors_after = count_descriptors();
	(void)printf("slot cycles: %u containers; heap %zu -> %zu bytes, descriptors %u -> %u\n", cycles * LIVES_PER_CYCLE,
		     heap, heap_after, descriptors, descriptors_after);
	bool flat = heap > 0 && heap_after <= heap + HEAP_GROWTH_MAX && descriptors_after == descriptors;
	slots_close(soak.slots);
	(void)uv_run(&soak.loop, UV_RUN_DEFAULT);
	return uv_loop_close(&soak.loop) == 0 && flat ? 0 : 1;
}
