/* Owns the plan of a measurement: how long to equilibrate, what one sweep is, and the statistics. The program calls it.
 * It never touches spins itself. */
#include "simulation.h"

#include "model.h"

#include <math.h>
#include <stddef.h>

/* Running sums of one observable. Errors come from the scatter of the means of SIMULATION_BLOCKS long blocks: as long
 * as a block is many autocorrelation times, these means are independent, whatever the single values are. */
struct series {
	double block_sum;                           /* of the block in progress */
	double mean_sum, mean_square_sum;           /* over finished blocks */
	double square_sum;                          /* over single values */
};

const char *simulation_check(const struct simulation_plan *plan)
{
	if (plan->size < MODEL_MIN_SIZE || plan->size > MODEL_MAX_SIZE)
		return "L must be between 2 and 1024";
	if (!(plan->temperature >= 0.1 && plan->temperature <= 1000))
		return "T must be between 0.1 and 1000";
	if (plan->sweeps < SIMULATION_BLOCKS || plan->sweeps > SIMULATION_MAX_SWEEPS)
		return "sweeps must be between 32 and 1000000000";
	return NULL;
}

static void series_add(struct series *series, double value)
{
	series->block_sum += value;
	series->square_sum += value * value;
}

static void series_end_block(struct series *series, int64_t length)
{
	double mean = series->block_sum / (double)length;
	series->mean_sum += mean;
	series->mean_square_sum += mean * mean;
	series->block_sum = 0;
}

static double series_mean(const struct series *series)
{
	return series->mean_sum / SIMULATION_BLOCKS;
}

static double series_error(const struct series *series)
{
	double mean = series_mean(series);
	double variance = series->mean_square_sum / SIMULATION_BLOCKS - mean * mean;
	return sqrt(fmax(variance, 0) / (SIMULATION_BLOCKS - 1));
}

/* error^2 = 2 tau variance / n, turned round. */
static double series_tau(const struct series *series, int64_t values)
{
	double mean = series_mean(series);
	double error = series_error(series);
	double variance = series->square_sum / (double)values - mean * mean;
	return variance > 0 ? error * error * (double)values / (2 * variance) : 0.5;
}

/* A sweep updates every spin about twice: once by heat bath, which is good at small excitations far from T_c, and once
 * by clusters, which do not slow down at T_c. */
static void advance(struct model *model, int clusters)
{
	model_sweep(model);
	for (int i = 0; i < clusters; i++)
		(void)model_flip_cluster(model);
}

/* Equilibrates, and returns how many clusters flip about as many spins as there are. Only here may a sweep end once
 * enough spins are flipped: it would do so after a large cluster more often than not, which biases what is measured, so
 * the measured sweeps all have the same number. */
static int equilibrate(struct model *model, const struct simulation_plan *plan)
{
	int64_t rounds = plan->sweeps / 10 > 100 ? plan->sweeps / 10 : 100;
	int64_t sites = (int64_t)plan->size * plan->size;
	int64_t clusters = 0;
	int64_t all_flipped = 0;
	for (int64_t round = 0; round < rounds; round++) {
		model_sweep(model);
		for (int64_t flipped = 0; flipped < sites; clusters++) {
			int size = model_flip_cluster(model);
			flipped += size;
			all_flipped += size;
		}
	}
	int64_t per_sweep = sites * clusters / all_flipped;
	return per_sweep > 1 ? (int)per_sweep : 1;
}

static void measure(struct model *model, const struct simulation_plan *plan, struct simulation_result *result)
{
	int clusters = equilibrate(model, plan);

	/* What does not fill the blocks evenly is measured nevertheless: blocks are rounded up. */
	int64_t length = (plan->sweeps + SIMULATION_BLOCKS - 1) / SIMULATION_BLOCKS;
	double spins = (double)plan->size * plan->size;
	struct series energy = {0};
	struct series magnetisation = {0};
	for (int block = 0; block < SIMULATION_BLOCKS; block++) {
		for (int64_t i = 0; i < length; i++) {
			advance(model, clusters);
			series_add(&energy, (double)model_energy(model) / spins);
			series_add(&magnetisation, fabs((double)model_magnetisation(model)) / spins);
		}
		series_end_block(&energy, length);
		series_end_block(&magnetisation, length);
	}

	*result = (struct simulation_result){
		.energy = series_mean(&energy),
		.energy_error = series_error(&energy),
		.magnetisation = series_mean(&magnetisation),
		.magnetisation_error = series_error(&magnetisation),
		.tau = series_tau(&energy, length * SIMULATION_BLOCKS),
		.clusters_per_sweep = clusters,
	};
}

int simulation_run(const struct simulation_plan *plan, struct simulation_result *result)
{
	struct model *model = model_new(plan->size, plan->temperature, plan->seed);
	if (!model)
		return -1;
	measure(model, plan, result);
	model_free(model);
	return 0;
}
