/* A command with placeholders, and what an item makes of it:
 *
 *   {}    the item                      {/}   its base name              {#}        its number
 *   {.}   without its extension         {/.}  base name, no extension    {1} … {9}  its columns, cut at TABs
 *   {//}  its directory ("." if none)
 *
 * They mean what they mean to GNU parallel (its manual, "replacement strings"), also inside of words. Anything else in braces is
 * text. */
#pragma once

#include "base/buf.h"
#include "base/err.h"
#include "exec/item.h"

#include <stdbool.h>
#include <stddef.h>

struct template_piece;

struct template {
	size_t words;
	struct template_piece *pieces; /* of all words; each word's last one is marked */
	size_t pieces_count;
	bool takes_item; /* some placeholder stands for the item or a part of it; {#} alone does not */
	bool varies;     /* some placeholder at all */
};

/* A command for one item. Keeps its memory for the next. */
struct arguments {
	struct buf text;
	char **argv; /* NULL at its end */
};

/* Words must outlive the template. ERR_NOMEM; template_done it, also after an error. */
int template_init(struct template *template, const char *const *words, size_t count, struct err *err) MUST_CHECK;
void template_done(struct template *template);

void arguments_init(struct arguments *arguments);
void arguments_done(struct arguments *arguments);

/* Fills arguments->argv, valid until the next call. item may be NULL where nothing varies. ERR_INVALID, with a text for people, if
 * the item cannot be an argument. */
int template_expand(const struct template *template, const struct item *item, struct arguments *arguments, struct err *err)
	MUST_CHECK;
