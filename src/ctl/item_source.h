/* Where items come from: lines of files or of standard input, files as they are, arguments of the command line, the files of
 * a directory. One item at a time, and never more of the input in memory than that and a piece of what follows. */
#pragma once

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

enum { ITEM_MAX = 16 * 1024 * 1024 }; /* bytes; what a node takes */

/* What stands between items. */
enum item_end { ITEM_END_NEWLINE, ITEM_END_NUL, ITEM_END_NONE };

struct item {
	const char *bytes; /* live until the source's next call */
	size_t len;
	const char *name;  /* of a directory's file, relative to it; else NULL */
};

enum item_got {
	ITEM_READY,
	ITEM_LATER, /* nothing there yet: on_ready says when to ask again */
	ITEM_NONE,  /* the end, now and for ever */
};

struct item_source;

/* Both may be NULL until item_source_listen. */
typedef void item_source_ready(void *context);

/* Files in their order; "-" is standard input, and so are no files at all. ITEM_END_NONE: every file is one item. The names
 * must outlive the source. The files are opened as they come. NULL without memory. */
struct item_source *item_stream_new(uv_loop_t *loop, const char *const *files, size_t count, enum item_end end);

/* Arguments: of one group each is an item; of several groups every combination is, joined by TABs, the last group changing
 * fastest. The groups must outlive the source. */
struct item_group {
	const char *const *arguments;
	size_t count;
};
struct item_source *item_product_new(const struct item_group *groups, size_t count, struct err *err);

/* Every regular file below the directory, by name, in the order of their names' bytes. The names are read at once (at most
 * 256 MB of them), the files as they come. */
struct item_source *item_folder_new(const char *directory, struct err *err);

/* How many items there are; -1 where only the end tells. */
int64_t item_source_count(const struct item_source *source);

/* The name of the folder's item number `index` (from 0); NULL where it has none. Lives as long as the source. */
const char *item_folder_name(const struct item_source *source, int64_t index);

void item_source_listen(struct item_source *source, item_source_ready *on_ready, void *context);

/* The next item, if there is one by now. */
int item_source_next(struct item_source *source, struct item *item, enum item_got *got, struct err *err) MUST_CHECK;

/* Bytes that the source's memory holds may stay until the loop has let go of its handle. NULL is ignored. */
void item_source_free(struct item_source *source);
