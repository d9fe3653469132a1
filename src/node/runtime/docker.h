/* The runtime for container engines that speak the Docker Engine API: Docker, and Podman by its Docker-like socket. */
#pragma once

#include "node/runtime/runtime.h"

extern const struct runtime_ops docker_runtime;
