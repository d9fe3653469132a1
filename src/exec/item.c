/* Owns the form of items. Called by main for each that the gateway gives; never copies one. */
#include "exec/item.h"

enum { DIGITS_MAX = 18 }; /* all such numbers fit 64 bits */

int item_init(struct item *item, const char *payload, size_t len, bool numbered, struct err *err)
{
	*item = (struct item){.bytes = payload, .len = len, .has_seq = numbered};
	if (!numbered)
		return 0;
	size_t digits = 0;
	while (digits < len && digits < DIGITS_MAX && payload[digits] >= '0' && payload[digits] <= '9')
		item->seq = item->seq * 10 + (payload[digits++] - '0');
	if (digits == 0 || digits == len || payload[digits] != '\t')
		return err_set(err, ERR_INVALID,
			       "the item is not a number, TAB and the rest, as \"item_format\": \"numbered\" wants it");
	item->bytes += digits + 1;
	item->len -= digits + 1;
	return 0;
}
