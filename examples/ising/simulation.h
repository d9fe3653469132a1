/* One simulation: equilibrate, measure, and tell means with errors that honour the autocorrelation. The program calls it
 * once. */
#pragma once

#include <stdint.h>

/* What an item asks for. */
struct simulation_plan {
	int size;                 /* edge of the lattice */
	double temperature;       /* in units of J / k_B */
	int64_t sweeps;           /* that are measured; the equilibration comes on top */
	uint64_t seed;
};

enum { SIMULATION_BLOCKS = 32, SIMULATION_MAX_SWEEPS = 1000000000 };

struct simulation_result {
	double energy, energy_error;                       /* per spin */
	double magnetisation, magnetisation_error;         /* mean of |m|, per spin */
	double tau;                                        /* of the energy: integrated autocorrelation time, in sweeps */
	int clusters_per_sweep;
};

/* NULL if the plan can be run, otherwise what is wrong with it. */
const char *simulation_check(const struct simulation_plan *plan);

/* 0, or -1 without memory. */
int simulation_run(const struct simulation_plan *plan, struct simulation_result *result);
