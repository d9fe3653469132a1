/* Owns the reading of an engine's log frames and the keeping of their end. Called when a worker failed. Never keeps
 * more than twice its maximum, and never trusts a byte of what the container wrote.
 *
 * A frame (Engine API, "Attach to a container", stream format): one byte for the stream (0 stdin, 1 stdout, 2
 * stderr), three zeros, the length as 32 bits big-endian, then that many bytes. */
#include "node/runtime/log_tail.h"

#include <string.h>

void log_tail_init(struct log_tail *tail, size_t max, bool raw)
{
	*tail = (struct log_tail){.max = max, .raw = raw};
	buf_init(&tail->text, 2 * max);
}

void log_tail_done(struct log_tail *tail)
{
	buf_done(&tail->text);
}

static int keep(struct log_tail *tail, const char *bytes, size_t len)
{
	if (len > tail->max) {
		bytes += len - tail->max;
		len = tail->max;
	}
	if (tail->text.len + len > tail->text.cap)
		buf_consume(&tail->text, tail->text.len - tail->max); /* full to more than max, since len <= max */
	return buf_add(&tail->text, bytes, len);
}

static int read_header(struct log_tail *tail, unsigned char byte)
{
	tail->header[tail->header_len++] = byte;
	if (tail->header_len < sizeof(tail->header))
		return 0;
	const unsigned char *h = tail->header;
	tail->header_len = 0;
	if (h[0] > 2 || h[1] || h[2] || h[3])
		return ERR_PROTOCOL;
	tail->left = (uint32_t)h[4] << 24 | (uint32_t)h[5] << 16 | (uint32_t)h[6] << 8 | h[7];
	return 0;
}

int log_tail_feed(struct log_tail *tail, const char *bytes, size_t len)
{
	if (tail->raw)
		return keep(tail, bytes, len);
	while (len > 0) {
		if (tail->left == 0) {
			int rc = read_header(tail, (unsigned char)*bytes);
			if (rc)
				return rc;
			bytes++;
			len--;
			continue;
		}
		size_t part = len < tail->left ? len : tail->left;
		int rc = keep(tail, bytes, part);
		if (rc)
			return rc;
		tail->left -= (uint32_t)part;
		bytes += part;
		len -= part;
	}
	return 0;
}

/* Length of the well-formed UTF-8 sequence at p (RFC 3629), or 0. */
static size_t utf8_sequence(const unsigned char *p, const unsigned char *end)
{
	static const struct {
		unsigned char first_min, first_max, second_min, second_max, len;
	} FORMS[] = {
		{0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
		{0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
		{0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
	};
	if (*p < 0x80)
		return (*p >= 0x20 && *p != 0x7f) || *p == '\n' || *p == '\t';
	for (size_t i = 0; i < sizeof(FORMS) / sizeof(FORMS[0]); i++) {
		if (*p < FORMS[i].first_min || *p > FORMS[i].first_max || end - p < FORMS[i].len)
			continue;
		if (p[1] < FORMS[i].second_min || p[1] > FORMS[i].second_max)
			continue;
		for (size_t k = 2; k < FORMS[i].len; k++) {
			if ((p[k] & 0xc0) != 0x80)
				return 0;
		}
		return FORMS[i].len;
	}
	return 0;
}

static void make_printable(char *text, size_t len)
{
	unsigned char *p = (unsigned char *)text;
	unsigned char *end = p + len;
	while (p < end) {
		size_t sequence = utf8_sequence(p, end);
		if (sequence == 0)
			*p = '?';
		p += sequence ? sequence : 1;
	}
}

const char *log_tail_text(struct log_tail *tail)
{
	if (tail->text.len > tail->max) {
		size_t cut = tail->text.len - tail->max;
		const char *newline = memchr(tail->text.data + cut - 1, '\n', tail->max);
		if (newline && newline + 1 < tail->text.data + tail->text.len)
			cut = (size_t)(newline - tail->text.data) + 1;
		buf_consume(&tail->text, cut);
	}
	if (tail->text.len)
		make_printable(tail->text.data, tail->text.len);
	return buf_text(&tail->text);
}
