/* Owns the border between one item and the next in what a pusher sends. Called by the hub's push; never keeps more than one item
 * and the slack that its caller allows. */
#include "proto/item_split.h"

#include <string.h>

enum { HEAD_MAX = 16 }; /* "$16777216\r\n" and some zeros */

void item_split_init(struct item_split *split, enum item_end end, size_t item_max, size_t slack)
{
	*split = (struct item_split){.end = end, .item_max = item_max};
	buf_init(&split->bytes, item_max + HEAD_MAX + 2 + slack);
}

void item_split_done(struct item_split *split)
{
	buf_done(&split->bytes);
}

int item_split_feed(struct item_split *split, const char *bytes, size_t len)
{
	return buf_add(&split->bytes, bytes, len);
}

void item_split_end(struct item_split *split)
{
	split->ended = true;
}

size_t item_split_left(const struct item_split *split)
{
	return split->bytes.len - split->given;
}

void item_split_drop(struct item_split *split)
{
	buf_consume(&split->bytes, split->given);
	split->looked -= split->given < split->looked ? split->given : split->looked;
	split->given = 0;
}

static int too_big(const struct item_split *split, struct err *err)
{
	return err_set(err, ERR_TOO_BIG, "it is larger than %zu bytes", split->item_max);
}

/* ---- an end behind each item, or at the end of all ---- */

static int next_text(struct item_split *split, const char **item, size_t *len, struct err *err)
{
	const char *start = buf_text(&split->bytes) + split->given;
	size_t left = item_split_left(split);
	size_t looked = split->looked > split->given ? split->looked - split->given : 0;
	char end = split->end == ITEM_END_NUL ? '\0' : '\n';
	const char *found = split->end == ITEM_END_NONE ? NULL : memchr(start + looked, end, left - looked);
	split->looked = split->bytes.len;
	*len = found ? (size_t)(found - start) : left;
	if (*len > split->item_max)
		return too_big(split, err);
	if (!found && (!split->ended || left == 0))
		return 0;
	split->given += *len + (found ? 1 : 0);
	split->looked = split->given;
	*item = start;
	return 0;
}

/* ---- RESP ---- */

/* "$<len>\r\n" at the start of so many bytes: its own length in *head, 0: more is needed. */
static int read_head(const struct item_split *split, const char *start, size_t left, size_t *head, size_t *len, struct err *err)
{
	size_t at = 1;
	*head = *len = 0;
	if (start[0] != '$')
		return err_set(err, ERR_PROTOCOL, "it does not begin with '$': the body is to be RESP bulk strings, one behind the other");
	for (; at < left && start[at] >= '0' && start[at] <= '9'; at++) {
		*len = *len * 10 + (size_t)(start[at] - '0');
		if (*len > split->item_max)
			return too_big(split, err);
		if (at > HEAD_MAX - 3)
			return err_set(err, ERR_PROTOCOL, "its length is no number of RESP");
	}
	if (at == left)
		return 0;
	if (at == 1 || start[at] != '\r' || (at + 1 < left && start[at + 1] != '\n'))
		return err_set(err, ERR_PROTOCOL, "its length is no number of RESP");
	*head = at + 1 < left ? at + 2 : 0;
	return 0;
}

static int next_resp(struct item_split *split, const char **item, size_t *len, struct err *err)
{
	const char *start = buf_text(&split->bytes) + split->given;
	size_t left = item_split_left(split);
	size_t head = 0;
	if (left == 0)
		return 0;
	int rc = read_head(split, start, left, &head, len, err);
	if (rc)
		return rc;
	bool whole = head > 0 && left >= head + *len + 2;
	if (!whole)
		return split->ended ? err_set(err, ERR_PROTOCOL, "the body ends in the midst of it") : 0;
	if (memcmp(start + head + *len, "\r\n", 2) != 0)
		return err_set(err, ERR_PROTOCOL, "it does not end with CR LF after its announced length");
	split->given += head + *len + 2;
	*item = start + head;
	return 0;
}

int item_split_next(struct item_split *split, const char **item, size_t *len, struct err *err)
{
	*item = NULL;
	*len = 0;
	return split->end == ITEM_END_RESP ? next_resp(split, item, len, err) : next_text(split, item, len, err);
}
