/* Owns the random numbers: xoshiro256++ (Blackman and Vigna 2021), seeded through splitmix64. The model calls it,
 * inlined, several times per spin. It never looks at a clock: an item gives the same result wherever it runs. */
#pragma once

#include <stdint.h>

struct rng {
	uint64_t s[4];
};

static inline uint64_t rng_mix(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* The stream tells apart simulations that were given the same seed: other sizes, other temperatures. */
static inline void rng_init(struct rng *rng, uint64_t seed, uint64_t stream)
{
	uint64_t state = seed;
	state = rng_mix(&state) ^ stream;
	for (int i = 0; i < 4; i++)
		rng->s[i] = rng_mix(&state);
}

static inline uint64_t rng_rotl(uint64_t x, int k)
{
	return (x << k) | (x >> (64 - k));
}

static inline uint64_t rng_u64(struct rng *rng)
{
	uint64_t *s = rng->s;
	uint64_t result = rng_rotl(s[0] + s[3], 23) + s[0];
	uint64_t t = s[1] << 17;
	s[2] ^= s[0];
	s[3] ^= s[1];
	s[1] ^= s[2];
	s[0] ^= s[3];
	s[2] ^= t;
	s[3] = rng_rotl(s[3], 45);
	return result;
}

static inline uint32_t rng_u32(struct rng *rng)
{
	return (uint32_t)(rng_u64(rng) >> 32);
}

/* Uniform in [0, n). The bias of the multiplication is n / 2^32: below 0.03 % at the largest lattice, and it touches
 * only where a cluster starts, which any distribution may choose. */
static inline uint32_t rng_below(struct rng *rng, uint32_t n)
{
	return (uint32_t)(((uint64_t)rng_u32(rng) * n) >> 32);
}

/* What rng_u32() is below with probability p. */
static inline uint64_t rng_threshold(double p)
{
	return (uint64_t)(p * 4294967296.0 + 0.5);
}
