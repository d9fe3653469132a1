/* Owns nothing but the way to each kind of source. Called by what pushes items; never reads by itself. */
#include "ctl/item_source_parts.h"

int64_t item_source_count(const struct item_source *source)
{
	return source->kind->count ? source->kind->count(source) : -1;
}

const char *item_folder_name(const struct item_source *source, int64_t index)
{
	return source->kind->name ? source->kind->name(source, index) : NULL;
}

void item_source_listen(struct item_source *source, item_source_ready *on_ready, void *context)
{
	source->on_ready = on_ready;
	source->context = context;
}

int item_source_next(struct item_source *source, struct item *item, enum item_got *got, struct err *err)
{
	*item = (struct item){.bytes = ""};
	*got = ITEM_NONE;
	return source->kind->next(source, item, got, err);
}

void item_source_free(struct item_source *source)
{
	if (source)
		source->kind->free(source);
}
