/* Owns items that are combinations of arguments. Called through item_source; counts like an odometer, and keeps none. */
#include "ctl/item_source_parts.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

enum { GROUPS_MAX = 9 }; /* {1} to {9} */

struct item_product {
	struct item_source source;
	const struct item_group *groups;
	size_t count;
	size_t at[GROUPS_MAX];
	int64_t total, given;
	struct buf item;
};

static int next(struct item_source *source, struct item *item, enum item_got *got, struct err *err)
{
	struct item_product *product = (struct item_product *)source;
	if (product->given == product->total)
		return 0;
	buf_clear(&product->item);
	for (size_t i = 0; i < product->count; i++) {
		const char *argument = product->groups[i].arguments[product->at[i]];
		if ((i && buf_add(&product->item, "\t", 1)) || buf_add(&product->item, argument, strlen(argument)))
			return err_set(err, ERR_TOO_BIG, "item number %lld is larger than %d MiB",
				       (long long)product->given + 1, ITEM_MAX / 1024 / 1024);
	}
	for (size_t i = product->count; i > 0 && ++product->at[i - 1] == product->groups[i - 1].count; i--)
		product->at[i - 1] = 0;
	product->given++;
	item->bytes = buf_text(&product->item);
	item->len = product->item.len;
	*got = ITEM_READY;
	return 0;
}

static int64_t count(const struct item_source *source)
{
	return ((const struct item_product *)source)->total;
}

static void free_product(struct item_source *source)
{
	buf_done(&((struct item_product *)source)->item);
	free(source);
}

static const struct item_source_kind KIND = {.next = next, .count = count, .free = free_product};

struct item_source *item_product_new(const struct item_group *groups, size_t group_count, struct err *err)
{
	int64_t total = 1;
	if (group_count > GROUPS_MAX) {
		(void)err_set(err, ERR_INVALID, "more than %d times \":::\"", GROUPS_MAX);
		return NULL;
	}
	for (size_t i = 0; i < group_count; i++) {
		if (__builtin_mul_overflow(total, (int64_t)groups[i].count, &total)) {
			(void)err_set(err, ERR_TOO_BIG, "too many combinations");
			return NULL;
		}
	}
	struct item_product *product = calloc(1, sizeof(*product));
	if (!product) {
		(void)err_set(err, ERR_NOMEM, "out of memory");
		return NULL;
	}
	*product = (struct item_product){.source.kind = &KIND, .groups = groups, .count = group_count, .total = group_count ? total : 0};
	buf_init(&product->item, ITEM_MAX);
	return &product->source;
}
