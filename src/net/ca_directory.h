/* The system's certificate authorities as a directory, in which OpenSSL looks up the one that it needs. */
#pragma once

#include <stdbool.h>

/* Whether the directory (each authority under the hash of its name, "ce275665.0") stands for the whole file, so that nobody
 * need read that: the same tool writes both, as update-ca-certificates does, which puts the file into the directory. NULL is
 * neither. */
bool ca_directory_replaces(const char *file, const char *directory);
