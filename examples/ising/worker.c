/* The worker: pops an item, simulates, pushes the result, for ever. IDM-GridCore starts it in a container, with its
 * queues in the environment. It keeps no state: whatever machine it runs on, an item gives the same result. */
#include "item.h"
#include "redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

struct worker {
	struct redis_link input, output;
	const char *input_queue, *output_queue;
	const char *node, *instance;               /* NULL outside IDM-GridCore */
};

static volatile sig_atomic_t stop;

static void on_stop_signal(int number)
{
	(void)number;
	stop = 1;
}

/* The first process of a container has no default handlers: without this, SIGTERM would do nothing. */
static void catch_stop_signals(void)
{
	struct sigaction action = {.sa_handler = on_stop_signal};
	(void)sigaction(SIGTERM, &action, NULL);
	(void)sigaction(SIGINT, &action, NULL);
	(void)signal(SIGPIPE, SIG_IGN);
}

static const char *setting(const char *name)
{
	const char *value = getenv(name);
	return value && *value ? value : NULL;
}

static int complain(const char *name, const char *why)
{
	(void)fprintf(stderr, "worker: %s: %s\n", name, why);
	return -1;
}

static int worker_init(struct worker *worker)
{
	const char *input_url = setting("INPUT_REDIS_URL");
	const char *output_url = setting("OUTPUT_REDIS_URL");
	*worker = (struct worker){
		.input_queue = setting("INPUT_QUEUE"),
		.output_queue = setting("OUTPUT_QUEUE"),
		.node = setting("NODE_ID"),
		.instance = setting("INSTANCE_ID"),
	};
	if (!input_url)
		return complain("INPUT_REDIS_URL", "not set");
	if (!worker->input_queue)
		return complain("INPUT_QUEUE", "not set");
	if (!worker->output_queue)
		return complain("OUTPUT_QUEUE", "not set");

	const char *why;
	if (redis_link_init(&worker->input, "input", input_url, &stop, &why) != 0)
		return complain("INPUT_REDIS_URL", why);
	if (redis_link_init(&worker->output, "output", output_url ? output_url : input_url, &stop, &why) != 0) {
		redis_link_done(&worker->input);
		return complain("OUTPUT_REDIS_URL", why);
	}
	return 0;
}

static void worker_done(struct worker *worker)
{
	redis_link_done(&worker->input);
	redis_link_done(&worker->output);
}

static double now(void)
{
	struct timespec time;
	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* The text to push for an item; NULL if it was interrupted or there is no memory for it. */
static char *compute(const struct worker *worker, const char *text, size_t len)
{
	struct simulation_plan plan;
	const char *why;
	struct item *item = item_parse(text, len, &plan, &why);
	if (!item) {
		(void)complain("refused an item", why);
		return item_refusal(text, len, why);
	}

	struct simulation_result result;
	double start = now();
	enum simulation_end end = simulation_run(&plan, &stop, &result);
	struct item_origin origin = {.node = worker->node, .instance = worker->instance, .seconds = now() - start};
	char *output = end == SIMULATION_DONE ? item_result(item, &result, &origin) : NULL;
	item_free(item);
	return output;
}

/* An item without a result in Redis goes back to the end that it came from. That is a courtesy to the queue, and no
 * guarantee: nothing can give it back when this process is killed outright. */
static int work_on(struct worker *worker, const char *text, size_t len)
{
	char *output = compute(worker, text, len);
	int rc = output ? redis_link_push(&worker->output, worker->output_queue, output, strlen(output)) : -1;
	free(output);
	if (rc == 0)
		return 0;

	rc = redis_link_give_back(&worker->input, worker->input_queue, text, len);
	(void)complain("an item has no result", rc == 0 ? "given back to the input queue" : "lost, Redis did not take it");
	return stop ? rc : -1;
}

int main(void)
{
	catch_stop_signals();
	struct worker worker;
	if (worker_init(&worker) != 0)
		return 2;

	int rc = 0;
	while (!stop && rc == 0) {
		size_t len;
		char *text = redis_link_pop(&worker.input, worker.input_queue, &len);
		if (text)
			rc = work_on(&worker, text, len);
		free(text);
	}
	worker_done(&worker);
	return rc == 0 ? 0 : 1;
}
