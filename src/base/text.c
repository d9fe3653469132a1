/* Owns the cutting of texts. Called wherever a message goes into a field of fixed size. */
#include "base/text.h"

#include <string.h>

void text_copy(char *into, size_t size, const char *text)
{
	size_t len = strnlen(text, size);
	if (len == size) {
		len = size - 1;
		while (len > 0 && ((unsigned char)text[len] & 0xc0) == 0x80)
			len--; /* the first byte that is dropped continues a character */
	}
	memcpy(into, text, len);
	into[len] = '\0';
}
