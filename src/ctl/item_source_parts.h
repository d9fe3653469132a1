/* What the kinds of sources share; for item_stream.c, item_product.c and item_folder.c alone. */
#pragma once

#include "ctl/item_source.h"

struct item_source_kind {
	int (*next)(struct item_source *source, struct item *item, enum item_got *got, struct err *err);
	int64_t (*count)(const struct item_source *source);
	const char *(*name)(const struct item_source *source, int64_t index);
	void (*free)(struct item_source *source);
};

/* The first member of every kind's own struct. */
struct item_source {
	const struct item_source_kind *kind;
	item_source_ready *on_ready;
	void *context;
};
