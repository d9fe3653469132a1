/* Whether an image can run on this machine: its platform as the engine tells it, against the wanted one. */
#pragma once

#include "base/err.h"

#include <jansson.h>

/* `wanted` is "os/architecture" or "os/architecture/variant"; `inspected` is the engine's answer about the image. 0, or
 * ERR_INVALID with both platforms and what to do. An image that tells no variant fits, and so does one for an older
 * variant: a "v7" machine runs "v6". */
int image_platform_check(const char *image, const char *wanted, const json_t *inspected, struct err *err) MUST_CHECK;
