/* Owns the spins and moves them: heat-bath sweeps and Wolff clusters (Wolff, Phys. Rev. Lett. 62, 361). The simulation
 * calls it. It never measures anything but the state as it stands. */
#include "model.h"

#include "rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct model {
	int size;
	uint32_t sites;
	int8_t *spin;                 /* +1 or -1, row by row */
	uint32_t *neighbour;          /* four per site: right, left, down, up */
	uint32_t *stack;              /* the cluster's rim; every site enters at most once */
	uint64_t up_below[5];         /* heat bath: a spin is up if rng_u32() is below [(sum of neighbours + 4) / 2] */
	uint64_t join_below;          /* Wolff: probability 1 - exp(-2/T) that an equal neighbour joins */
	struct rng rng;
};

static void link_neighbours(struct model *model)
{
	uint32_t size = (uint32_t)model->size;
	for (uint32_t row = 0; row < size; row++) {
		for (uint32_t column = 0; column < size; column++) {
			uint32_t *of = model->neighbour + 4 * (row * size + column);
			of[0] = row * size + (column + 1) % size;
			of[1] = row * size + (column + size - 1) % size;
			of[2] = (row + 1) % size * size + column;
			of[3] = (row + size - 1) % size * size + column;
		}
	}
}

struct model *model_new(int size, double temperature, uint64_t seed)
{
	struct model *model = calloc(1, sizeof(*model));
	if (!model)
		return NULL;

	model->size = size;
	model->sites = (uint32_t)(size * size);
	model->spin = malloc(model->sites);
	model->neighbour = malloc(4 * sizeof(uint32_t) * model->sites);
	model->stack = malloc(sizeof(uint32_t) * model->sites);
	if (!model->spin || !model->neighbour || !model->stack) {
		model_free(model);
		return NULL;
	}

	memset(model->spin, 1, model->sites);
	link_neighbours(model);
	for (int i = 0; i < 5; i++)
		model->up_below[i] = rng_threshold(1 / (1 + exp(-2 * (2 * i - 4) / temperature)));
	model->join_below = rng_threshold(-expm1(-2 / temperature));

	uint64_t temperature_bits;
	memcpy(&temperature_bits, &temperature, sizeof(temperature_bits));
	rng_init(&model->rng, seed, temperature_bits ^ (uint64_t)size);
	return model;
}

void model_free(struct model *model)
{
	if (!model)
		return;
	free(model->spin);
	free(model->neighbour);
	free(model->stack);
	free(model);
}

void model_sweep(struct model *model)
{
	int8_t *spin = model->spin;
	const uint32_t *of = model->neighbour;
	for (uint32_t site = 0; site < model->sites; site++, of += 4) {
		int sum = spin[of[0]] + spin[of[1]] + spin[of[2]] + spin[of[3]];
		spin[site] = (int8_t)(2 * (rng_u32(&model->rng) < model->up_below[(sum + 4) / 2]) - 1);
	}
}

int model_flip_cluster(struct model *model)
{
	int8_t *spin = model->spin;
	uint32_t start = rng_below(&model->rng, model->sites);
	int8_t old = spin[start];
	spin[start] = (int8_t)-old;

	uint32_t *stack = model->stack;
	uint32_t depth = 0;
	stack[depth++] = start;
	int flipped = 1;
	while (depth > 0) {
		const uint32_t *of = model->neighbour + 4 * stack[--depth];
		for (int i = 0; i < 4; i++) {
			uint32_t site = of[i];
			if (spin[site] != old || rng_u32(&model->rng) >= model->join_below)
				continue;
			spin[site] = (int8_t)-old;
			stack[depth++] = site;
			flipped++;
		}
	}
	return flipped;
}

int64_t model_energy(const struct model *model)
{
	const int8_t *spin = model->spin;
	int64_t bonds = 0;
	for (uint32_t site = 0; site < model->sites; site++) {
		const uint32_t *of = model->neighbour + 4 * site;
		bonds += spin[site] * (spin[of[0]] + spin[of[2]]);
	}
	return -bonds;
}

int64_t model_magnetisation(const struct model *model)
{
	int64_t sum = 0;
	for (uint32_t site = 0; site < model->sites; site++)
		sum += model->spin[site];
	return sum;
}
