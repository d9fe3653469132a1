/* The machines that the project knows: the kernel's architecture name and the platform that images are made for. */
#pragma once

#include <stdbool.h>

struct platform {
	const char *architecture; /* as a node reports it, as `uname -m` says it on 64-bit Linux: "x86_64" */
	const char *name;         /* as images call it: "linux/amd64" */
};

/* What a call without a platform means, as in the seed. */
#define PLATFORM_DEFAULT "linux/amd64"

/* The platform of an architecture ("x86_64", "aarch64", "arm", and the usual other names of these); NULL if unknown. */
const struct platform *platform_of_architecture(const char *architecture);

bool platform_is_known(const char *name);

/* What this program was compiled for; NULL on a machine that no platform stands for. */
const struct platform *platform_here(void);
