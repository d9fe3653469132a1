/* The directory in which this node's places meet their pause containers: its own, closed to all other users, and the
 * same in every run, so that nothing piles up. */
#pragma once

#include "base/err.h"

/* The first of $RUNTIME_DIRECTORY, $XDG_RUNTIME_DIR, $TMPDIR and /tmp where it can be made and a socket's path fits; emptied
 * of what an earlier run left. `owner` is any text that tells this node from others. free() it; NULL with err set. */
char *place_folder_open(const char *owner, struct err *err);

/* Removes it, if it is empty, and frees the text. NULL is ignored. */
void place_folder_close(char *folder);

/* A new directory in it, with a name that nobody can guess, which a container's user may enter. free() it; NULL with err
 * set. */
char *place_folder_add(const char *folder, struct err *err);

/* The directory and the socket in it. */
void place_folder_remove(const char *added);

/* The socket's name in a directory that was added. */
#define PLACE_SOCKET "s"
