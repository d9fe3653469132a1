/* gridexec, the program that gridnode carries for tasks with exec, in the forms in which workers can run it. */
#pragma once

#include "base/err.h"

#include <stddef.h>

/* Where it stands in a container. */
#define EXEC_PROGRAM_TARGET "/idm/gridexec"

/* The program as a file in this folder: written unless it is there and whole. free() the path; NULL with err set. */
char *exec_program_place(const char *folder, struct err *err);

/* Takes it out of the folder. */
void exec_program_remove(const char *folder);

/* The program itself. */
const char *exec_program_bytes(size_t *len);
