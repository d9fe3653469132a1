/* Small files, read and replaced whole, and the three descriptors that every program has. */
#pragma once

#include "base/buf.h"
#include "base/err.h"

#include <sys/types.h>

/* Adds the file's content to buf, whose cap bounds it (ERR_TOO_BIG). ERR_NOT_FOUND where there is none. */
int file_read(const char *path, struct buf *buf, struct err *err) MUST_CHECK;

/* Puts a new file in the place of the old one, whole or not at all, also across a power cut: written beside it, synced,
 * renamed. An existing file keeps its mode and owner; a new one gets `mode`. A symbolic link is followed. */
int file_replace(const char *path, const char *bytes, size_t len, mode_t mode, struct err *err) MUST_CHECK;

/* Makes the directory and its parents. */
int file_make_directories(const char *path, mode_t mode, struct err *err) MUST_CHECK;

/* Opens /dev/null for reading in the place of those of 0, 1 and 2 that are closed, so that nothing of ours gets such a number, and
 * writing there is still an error. Before anything else is opened. */
void file_open_standard(void);

/* The directory part of a path ("." where it has none); free() it. */
char *file_directory(const char *path) MUST_CHECK;
