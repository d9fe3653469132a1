/* Owns the way from bytes that others chose (names, items, logs) to a terminal. Called by whatever prints for people; never for
 * --json. */
#include "ctl/shown.h"

#include <langinfo.h>
#include <locale.h>
#include <stdbool.h>
#include <string.h>
#include <wchar.h>

static const char ELLIPSIS[] = "\xe2\x80\xa6";

void shown_begin(void)
{
	const char *set = setlocale(LC_CTYPE, "");
	if (!set || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
		(void)setlocale(LC_CTYPE, "C.UTF-8"); /* our texts are UTF-8 wherever they go; without it wide ones count 1 */
}

struct character {
	size_t len;    /* in bytes */
	int width;     /* in columns */
	bool readable; /* else it is shown as '?' */
};

/* RFC 3629: 1 to 4 bytes, no overlong form, no surrogate. 0 where it is none. */
static size_t decode(const unsigned char *text, wchar_t *into)
{
	if (text[0] < 0x80) {
		*into = (wchar_t)text[0];
		return 1;
	}
	size_t len = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
	if (text[0] < 0xc2 || text[0] > 0xf4)
		return 0;
	unsigned long code = text[0] & (0x7fU >> len);
	for (size_t i = 1; i < len; i++) {
		if ((text[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (text[i] & 0x3fU);
	}
	bool overlong = (len == 3 && code < 0x800) || (len == 4 && code < 0x10000);
	if (overlong || (code >= 0xd800 && code <= 0xdfff) || code > 0x10ffff)
		return 0;
	*into = (wchar_t)code;
	return len;
}

/* What turns the direction of the text around it, or marks lines and paragraphs. */
static bool commands_terminal(wchar_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || (code >= 0x202a && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0x2028 || code == 0x2029;
}

static struct character look(const char *text)
{
	wchar_t code = 0;
	size_t len = decode((const unsigned char *)text, &code);
	if (len == 0)
		return (struct character){.len = 1, .width = 1};
	if (commands_terminal(code))
		return (struct character){.len = len, .width = 1};
	int width = wcwidth(code);
	return (struct character){.len = len, .width = width >= 0 ? width : 1, .readable = true};
}

size_t shown_width(const char *text)
{
	size_t width = 0;
	while (*text) {
		struct character character = look(text);
		width += (size_t)character.width;
		text += character.len;
	}
	return width;
}

static void add_character(struct buf *into, const char *text, const struct character *character)
{
	const char *bytes = character->readable ? text : *text == '\n' || *text == '\t' ? " " : "?";
	if (buf_add(into, bytes, character->readable ? character->len : 1))
		return; /* full: what is there is shown */
}

void shown_add(struct buf *into, const char *text, size_t width)
{
	bool cut = width > 0 && shown_width(text) > width;
	size_t room = cut ? width - 1 : 0;
	while (*text) {
		struct character character = look(text);
		if (cut && (size_t)character.width > room)
			break;
		add_character(into, text, &character);
		room -= cut ? (size_t)character.width : 0;
		text += character.len;
	}
	if (cut && buf_add(into, ELLIPSIS, sizeof(ELLIPSIS) - 1))
		return;
}

void shown_add_lines(struct buf *into, const char *text, const char *indent)
{
	bool begin = true;
	while (*text) {
		if (begin && buf_add(into, indent, strlen(indent)))
			return;
		begin = *text == '\n';
		if (*text == '\n' || *text == '\t') {
			if (buf_add(into, text, 1))
				return;
			text++;
		} else if (*text == '\r') {
			text++; /* a progress bar's, or a DOS line's */
		} else {
			struct character character = look(text);
			add_character(into, text, &character);
			text += character.len;
		}
	}
	if (!begin && buf_add(into, "\n", 1))
		return;
}
