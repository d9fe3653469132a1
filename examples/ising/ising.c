/* The program: one simulation, from its arguments to a line of JSON. It knows nothing of queues, nodes or Redis, and keeps no
 * state: on whatever machine it runs, the same arguments give the same numbers. */
#include "simulation.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { BAD_ARGUMENTS = 2 };

static int complain(const char *why)
{
	(void)fprintf(stderr, "ising: %s\nusage: ising L T SWEEPS SEED\n", why);
	return BAD_ARGUMENTS;
}

/* The whole text as a number. */
static int read_integer(const char *text, int64_t *into)
{
	char *end;
	errno = 0;
	long long value = strtoll(text, &end, 10);
	*into = value;
	return errno || end == text || *end ? -1 : 0;
}

static int read_real(const char *text, double *into)
{
	char *end;
	errno = 0;
	*into = strtod(text, &end);
	return errno || end == text || *end ? -1 : 0;
}

static const char *read_plan(char **argv, struct simulation_plan *plan)
{
	int64_t size;
	int64_t seed;
	if (read_integer(argv[1], &size) || read_real(argv[2], &plan->temperature) || read_integer(argv[3], &plan->sweeps) ||
	    read_integer(argv[4], &seed))
		return "the arguments are no numbers";
	plan->size = size > 0 && size < INT16_MAX ? (int)size : 0;
	plan->seed = (uint64_t)seed;
	return simulation_check(plan);
}

static double now(void)
{
	struct timespec time;
	(void)clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Twelve digits hold any T that people write, exactly; more would show 2.27 as 2.2700000000000000178. */
static void print(const struct simulation_plan *plan, const struct simulation_result *result, double seconds)
{
	const char *node = getenv("NODE_ID");
	printf("{\"L\":%d,\"T\":%.12g,\"sweeps\":%lld,\"seed\":%llu,", plan->size, plan->temperature, (long long)plan->sweeps,
	       (unsigned long long)plan->seed);
	printf("\"energy\":%.12g,\"energy_error\":%.12g,\"m_abs\":%.12g,\"m_abs_error\":%.12g,", result->energy, result->energy_error,
	       result->magnetisation, result->magnetisation_error);
	printf("\"tau\":%.12g,\"clusters\":%d,\"seconds\":%.3f,\"node\":\"%s\"}\n", result->tau, result->clusters_per_sweep, seconds,
	       node ? node : "here");
}

int main(int argc, char **argv)
{
	struct simulation_plan plan;
	struct simulation_result result;
	const char *why = argc == 5 ? read_plan(argv, &plan) : "four arguments are wanted";
	if (why)
		return complain(why);
	double start = now();
	if (simulation_run(&plan, &result)) {
		(void)fprintf(stderr, "ising: out of memory\n");
		return 1;
	}
	print(&plan, &result, now() - start);
	return fflush(stdout) ? 1 : 0;
}
