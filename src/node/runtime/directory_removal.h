/* The removal of a directory with all that a stranger may have put into it. */
#pragma once

/* Blocks for as long as it takes: for a thread of the pool. Never follows a symbolic link, and never leaves the file system's
 * part that it was given, whatever happens in it meanwhile. 0, or an errno value: what is left stays. */
int directory_remove(const char *path);
