/* Owns the writing of RESP2, replies and commands alike. Called by the gateway, the Redis client and the writers of lease
 * bodies; never looks at what it writes but to keep lines whole. */
#include "net/resp.h"

#include <stdlib.h>
#include <string.h>

enum { HEAD_SIZE = 1 + 20 + 2 }; /* a type, an int64, CR LF */

/* "<type><number>CRLF" into the end of head; the start of it is returned. Replaces snprintf, which costs more than all the
 * rest of a small command. */
static const char *write_head(char head[HEAD_SIZE], char type, int64_t number, size_t *len)
{
	char *at = head + HEAD_SIZE;
	*--at = '\n';
	*--at = '\r';
	uint64_t left = number < 0 ? -(uint64_t)number : (uint64_t)number;
	do {
		*--at = (char)('0' + left % 10);
		left /= 10;
	} while (left);
	if (number < 0)
		*--at = '-';
	*--at = type;
	*len = (size_t)(head + HEAD_SIZE - at);
	return at;
}

static int add_head(struct buf *buf, char type, int64_t number)
{
	char head[HEAD_SIZE];
	size_t len;
	const char *text = write_head(head, type, number, &len);
	return buf_add(buf, text, len);
}

/* Back to what it was before a value that did not fit. */
static int undo(struct buf *buf, size_t len, int rc)
{
	if (rc && buf->data) {
		buf->len = len;
		buf->data[len] = '\0';
	}
	return rc;
}

static int add_line(struct buf *buf, char type, const char *text)
{
	size_t before = buf->len;
	size_t len = strlen(text);
	int rc = buf_add(buf, &type, 1);
	if (!rc)
		rc = buf_add(buf, text, len);
	if (!rc)
		rc = buf_add(buf, "\r\n", 2);
	if (rc)
		return undo(buf, before, rc);
	for (char *c = buf->data + before + 1; c < buf->data + before + 1 + len; c++) {
		if (*c == '\r' || *c == '\n')
			*c = ' ';
	}
	return 0;
}

int resp_add_status(struct buf *buf, const char *text)
{
	return add_line(buf, '+', text);
}

int resp_add_error(struct buf *buf, const char *text)
{
	return add_line(buf, '-', text);
}

int resp_add_integer(struct buf *buf, int64_t integer)
{
	return add_head(buf, ':', integer);
}

int resp_add_bulk(struct buf *buf, const void *bytes, size_t len)
{
	size_t before = buf->len;
	int rc = add_head(buf, '$', (int64_t)len);
	if (!rc)
		rc = buf_add(buf, bytes, len);
	if (!rc)
		rc = buf_add(buf, "\r\n", 2);
	return undo(buf, before, rc);
}

int resp_add_nil(struct buf *buf)
{
	return buf_add(buf, "$-1\r\n", 5);
}

int resp_add_nil_array(struct buf *buf)
{
	return buf_add(buf, "*-1\r\n", 5);
}

int resp_add_array(struct buf *buf, size_t count)
{
	return add_head(buf, '*', (int64_t)count);
}

int resp_add_command(struct buf *buf, size_t argc, const char *const *argv, const size_t *lens)
{
	size_t before = buf->len;
	int rc = resp_add_array(buf, argc);
	for (size_t i = 0; i < argc && !rc; i++)
		rc = resp_add_bulk(buf, argv[i], lens ? lens[i] : strlen(argv[i]));
	return undo(buf, before, rc);
}
