/* Owns the table of platforms. Called by hub and node; never asks the kernel. */
#include "proto/platform.h"

#include <stddef.h>
#include <string.h>

/* The first row of a platform is its canonical one. */
static const struct platform PLATFORMS[] = {
	{"x86_64", "linux/amd64"}, {"aarch64", "linux/arm64"}, {"arm", "linux/arm/v7"},
	{"amd64", "linux/amd64"},  {"arm64", "linux/arm64"},   {"armv7l", "linux/arm/v7"},
};

enum { PLATFORM_COUNT = sizeof(PLATFORMS) / sizeof(PLATFORMS[0]) };

const struct platform *platform_of_architecture(const char *architecture)
{
	for (size_t i = 0; i < PLATFORM_COUNT; i++) {
		if (strcmp(PLATFORMS[i].architecture, architecture) == 0)
			return &PLATFORMS[i];
	}
	return NULL;
}

bool platform_is_known(const char *name)
{
	for (size_t i = 0; i < PLATFORM_COUNT; i++) {
		if (strcmp(PLATFORMS[i].name, name) == 0)
			return true;
	}
	return false;
}

const struct platform *platform_here(void)
{
#if defined(__x86_64__)
	return platform_of_architecture("x86_64");
#elif defined(__aarch64__)
	return platform_of_architecture("aarch64");
#elif defined(__arm__)
	return platform_of_architecture("arm");
#else
	return NULL;
#endif
}
