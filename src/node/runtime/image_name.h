/* The name of an image, taken apart: "registry/repository:tag" or "…@sha256:…". */
#pragma once

#include "base/err.h"

enum { IMAGE_NAME_MAX = 512 };

struct image_name {
	char full[IMAGE_NAME_MAX];       /* always with a tag or a digest: what inspect and create are asked for */
	char repository[IMAGE_NAME_MAX]; /* as it was written, without tag and digest */
	char reference[IMAGE_NAME_MAX];  /* the tag ("latest" where none was written) or the digest */
	char registry[IMAGE_NAME_MAX];   /* "docker.io" where none was written */
};

/* ERR_INVALID for what cannot be an image's name; nothing that passes can change the path of an Engine call. */
int image_name_parse(const char *text, struct image_name *name, struct err *err) MUST_CHECK;
