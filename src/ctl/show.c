/* Owns what several commands print alike. Called by them; knows neither tasks nor nodes. */
#include "ctl/show.h"

#include "ctl/shown.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX_BYTES = 16 * 1024 };

void show_field(const struct ctl *ctl, const char *name, enum table_style style, const char *format, ...)
{
	char text[TEXT_MAX_BYTES];
	struct buf shown;
	va_list arguments;
	va_start(arguments, format);
	(void)vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	buf_init(&shown, 2 * TEXT_MAX_BYTES);
	shown_add(&shown, text, 0);
	printf("%s:%*s %s%s%s\n", name, SHOW_FIELD_WIDTH - (int)strlen(name), "", table_style_on(&ctl->out, style), buf_text(&shown),
	       table_style_off(&ctl->out, style));
	buf_done(&shown);
}

const char *show_text(json_t *object, const char *name)
{
	const char *text = json_string_value(json_object_get(object, name));
	return text ? text : "";
}

int64_t show_integer(json_t *object, const char *name)
{
	return (int64_t)json_integer_value(json_object_get(object, name));
}

double show_number(json_t *object, const char *name)
{
	return json_number_value(json_object_get(object, name));
}

void show_shell_word(struct buf *into, const char *word)
{
	static const char PLAIN[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-./:=@%+,{}";
	bool plain = *word && strspn(word, PLAIN) == strlen(word);
	int rc = plain ? buf_printf(into, "%s", word) : buf_add(into, "'", 1);
	for (const char *at = word; *at && !plain && !rc; at++)
		rc = *at == '\'' ? buf_printf(into, "'\\''") : buf_add(into, at, 1);
	if (!rc && !plain)
		rc = buf_add(into, "'", 1);
	(void)rc; /* a buffer that is full is shown as far as it goes */
}

void show_words(struct buf *into, json_t *words)
{
	size_t i;
	json_t *word;
	json_array_foreach(words, i, word)
	{
		if (i > 0 && buf_add(into, " ", 1))
			return;
		show_shell_word(into, json_is_string(word) ? json_string_value(word) : "?");
	}
}

int show_no_memory(struct ctl *ctl)
{
	ctl_error(ctl, "out of memory");
	return CTL_FAILED;
}
