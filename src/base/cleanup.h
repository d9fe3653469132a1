/* Scope cleans up: `AUTO_FREE char *text = …;` frees at the end of the block, and steal() hands the pointer on. */
#pragma once

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_free(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}

static inline void cleanup_close(const int *fd)
{
	if (*fd >= 0)
		(void)close(*fd);
}

static inline void cleanup_fclose(FILE **file)
{
	if (*file)
		(void)fclose(*file);
}

static inline void cleanup_json(json_t **json)
{
	json_decref(*json);
}

#define AUTO_FREE __attribute__((cleanup(cleanup_free)))
#define AUTO_CLOSE __attribute__((cleanup(cleanup_close)))
#define AUTO_FCLOSE __attribute__((cleanup(cleanup_fclose)))
#define AUTO_JSON __attribute__((cleanup(cleanup_json)))

/* Takes the value out of an AUTO_ variable, which then owns nothing. */
#define steal(pointer) \
	({ \
		__typeof__(pointer) stolen_ = (pointer); \
		(pointer) = NULL; \
		stolen_; \
	})
