/* Owns the failing of allocations. Called through the linker's --wrap by everything that a test is linked from. */
#include "fault.h"

#include <jansson.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
char *__real_strdup(const char *text);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
char *__wrap_strdup(const char *text);

static unsigned left; /* 0: not armed */
static bool reached;
static bool paused;

static bool fails(void)
{
	if (paused || left == 0 || --left > 0)
		return false;
	reached = true;
	return true;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
	return fails() ? NULL : __real_realloc(old, size);
}

char *__wrap_strdup(const char *text)
{
	return fails() ? NULL : __real_strdup(text);
}

static void *jansson_malloc(size_t size)
{
	return fails() ? NULL : __real_malloc(size);
}

void fault_pause(bool pause)
{
	paused = pause;
}

void fault_arm(unsigned nth)
{
	json_set_alloc_funcs(jansson_malloc, free);
	reached = false;
	left = nth;
}

bool fault_disarm(void)
{
	left = 0;
	return reached;
}
