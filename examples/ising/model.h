/* The square-lattice Ising model, J = k_B = 1, no field, periodic in both directions. The simulation calls it; it knows
 * nothing of measuring plans, or items. Energies are per lattice, and integers, so they carry no rounding. */
#pragma once

#include <stdint.h>

enum { MODEL_MIN_SIZE = 2, MODEL_MAX_SIZE = 1024 };

struct model;

/* All spins up. NULL without memory. size is the edge, in MODEL_MIN_SIZE … MODEL_MAX_SIZE; temperature > 0. */
struct model *model_new(int size, double temperature, uint64_t seed);
void model_free(struct model *model);

/* Every spin once, in order, from its exact distribution given its neighbours (heat bath). */
void model_sweep(struct model *model);

/* One Wolff cluster; returns how many spins it flipped. */
int model_flip_cluster(struct model *model);

/* - sum of s_i s_j over the 2 size^2 bonds. */
int64_t model_energy(const struct model *model);

/* sum of s_i. */
int64_t model_magnetisation(const struct model *model);
