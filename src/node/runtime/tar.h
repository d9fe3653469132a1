/* A tar archive in memory, in the old common form (POSIX.1-1988 "ustar"): the same entries give the same bytes. */
#pragma once

#include "base/buf.h"

#include <stddef.h>

enum { TAR_PATH_MAX = 99 };

/* Each adds to the archive; what buf_add says, ERR_INVALID for a path that does not fit. Owner is root, the
 * time is 1970. */
int tar_add_directory(struct buf *archive, const char *path, unsigned mode) MUST_CHECK;
int tar_add_file(struct buf *archive, const char *path, unsigned mode, const char *bytes, size_t len) MUST_CHECK;

/* After the last entry. */
int tar_finish(struct buf *archive) MUST_CHECK;
