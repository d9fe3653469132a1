/* Owns the meaning of {} {.} {/} {//} {/.} {#} {1}…{9} on this side. Called for --dry-run, checks and the job log; gridexec, which
 * runs the commands, has its own. */
#include "ctl/run/placeholders.h"

#include <string.h>

enum part { PART_ALL, PART_STEM, PART_BASE, PART_DIRECTORY, PART_BASE_STEM, PART_NUMBER, PART_COLUMN, PART_NONE };

/* The placeholder that begins here, and its length. */
static enum part part_at(const char *text, size_t *len)
{
	static const struct {
		const char *text;
		enum part part;
	} PARTS[] = {{"{}", PART_ALL},	       {"{.}", PART_STEM},	 {"{/}", PART_BASE},
		     {"{//}", PART_DIRECTORY}, {"{/.}", PART_BASE_STEM}, {"{#}", PART_NUMBER}};
	for (size_t i = 0; i < sizeof(PARTS) / sizeof(PARTS[0]); i++) {
		*len = strlen(PARTS[i].text);
		if (strncmp(text, PARTS[i].text, *len) == 0)
			return PARTS[i].part;
	}
	*len = 3;
	return text[0] == '{' && text[1] >= '1' && text[1] <= '9' && text[2] == '}' ? PART_COLUMN : PART_NONE;
}

static bool has(const char *argument, bool number)
{
	size_t len;
	for (const char *at = strchr(argument, '{'); at; at = strchr(at + 1, '{')) {
		enum part part = part_at(at, &len);
		if (part != PART_NONE && (part == PART_NUMBER) == number)
			return true;
	}
	return false;
}

bool placeholders_of_item(const char *argument)
{
	return has(argument, false);
}

bool placeholders_of_number(const char *argument)
{
	return has(argument, true);
}

/* A part of an item's bytes. */
struct span {
	const char *bytes;
	size_t len;
};

/* Where the byte stands last; NULL where it stands nowhere. */
static const char *last_of(struct span text, char byte)
{
	for (size_t i = text.len; i > 0; i--) {
		if (text.bytes[i - 1] == byte)
			return text.bytes + i - 1;
	}
	return NULL;
}

static struct span base_of(struct span item)
{
	const char *slash = last_of(item, '/');
	size_t skip = slash ? (size_t)(slash - item.bytes) + 1 : 0;
	return (struct span){item.bytes + skip, item.len - skip};
}

static struct span directory_of(struct span item)
{
	const char *slash = last_of(item, '/');
	if (!slash)
		return (struct span){".", 1};
	return slash == item.bytes ? (struct span){"/", 1} : (struct span){item.bytes, (size_t)(slash - item.bytes)};
}

static struct span stem_of(struct span item)
{
	struct span base = base_of(item);
	const char *dot = last_of(base, '.');
	if (!dot || dot + 1 == base.bytes + base.len)
		return item;
	return (struct span){item.bytes, (size_t)(dot - item.bytes)};
}

static struct span column_of(struct span item, int column)
{
	const char *end = item.bytes + item.len;
	const char *at = item.bytes;
	for (int i = 1; i < column; i++) {
		const char *tab = memchr(at, '\t', (size_t)(end - at));
		if (!tab)
			return (struct span){"", 0};
		at = tab + 1;
	}
	const char *tab = memchr(at, '\t', (size_t)(end - at));
	return (struct span){at, (size_t)((tab ? tab : end) - at)};
}

static int add_part(struct buf *into, enum part part, struct span item, int column, int64_t seq)
{
	struct span chosen = item;
	switch (part) {
	case PART_STEM:
		chosen = stem_of(item);
		break;
	case PART_BASE:
		chosen = base_of(item);
		break;
	case PART_DIRECTORY:
		chosen = directory_of(item);
		break;
	case PART_BASE_STEM:
		chosen = stem_of(base_of(item));
		break;
	case PART_COLUMN:
		chosen = column_of(item, column);
		break;
	case PART_NUMBER:
		return buf_printf(into, "%lld", (long long)seq);
	case PART_ALL:
	case PART_NONE:
		break;
	}
	return buf_add(into, chosen.bytes, chosen.len);
}

int placeholders_fill(struct buf *into, const char *argument, const char *item, size_t item_len, int64_t seq)
{
	int rc = 0;
	while (*argument && !rc) {
		size_t plain = strcspn(argument, "{");
		size_t len = 0;
		rc = buf_add(into, argument, plain);
		argument += plain;
		if (!*argument || rc)
			break;
		enum part part = part_at(argument, &len);
		if (part == PART_NONE) {
			rc = buf_add(into, argument++, 1);
			continue;
		}
		rc = add_part(into, part, (struct span){item, item_len}, argument[1] - '0', seq);
		argument += len;
	}
	return rc;
}

/* ---- quoting ---- */

static bool is_plain(unsigned char c)
{
	return c > 0x20 && c < 0x7f && !strchr("'\"\\$`*?[]{}()<>|&;#~!^", c);
}

static int quote_coded(struct buf *into, const char *bytes, size_t len)
{
	int rc = buf_add(into, "$'", 2);
	for (size_t i = 0; i < len && !rc; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c == '\'' || c == '\\')
			rc = buf_printf(into, "\\%c", c);
		else if (c == '\n' || c == '\t')
			rc = buf_add(into, c == '\n' ? "\\n" : "\\t", 2);
		else if (c < 0x20 || c == 0x7f)
			rc = buf_printf(into, "\\x%02x", c);
		else
			rc = buf_add(into, bytes + i, 1);
	}
	return rc ? rc : buf_add(into, "'", 1);
}

int placeholders_quote(struct buf *into, const char *argument, size_t len)
{
	bool plain = len > 0;
	bool coded = false;
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)argument[i];
		plain = plain && (is_plain(c) || c >= 0x80);
		coded = coded || c < 0x20 || c == 0x7f;
	}
	if (plain)
		return buf_add(into, argument, len);
	if (coded)
		return quote_coded(into, argument, len);
	int rc = buf_add(into, "'", 1);
	for (size_t i = 0; i < len && !rc; i++)
		rc = argument[i] == '\'' ? buf_add(into, "'\\''", 4) : buf_add(into, argument + i, 1);
	return rc ? rc : buf_add(into, "'", 1);
}
