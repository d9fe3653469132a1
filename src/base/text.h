/* Texts in buffers of fixed size. */
#pragma once

#include <stddef.h>

/* Copies as much as fits, with a NUL; a UTF-8 character is never cut in half. */
void text_copy(char *into, size_t size, const char *text);
